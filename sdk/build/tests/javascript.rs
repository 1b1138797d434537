//! Steps in JavaScript and TypeScript are built with esbuild and componentize-qjs, and say what is wrong with them.

#[expect(unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use support::{assert_imports, built, example, project};

#[test]
fn the_examples_import_what_they_name() {
    for (language, source) in [("javascript", "src/step.js"), ("typescript", "src/step.ts")] {
        let (_folder, project) = example(language, "js", source);
        let Some(component) = built(&project) else { return };
        assert_imports(
            &component.unwrap(),
            &["artifacts", "commands", "http", "log", "secrets", "targets", "timer", "types"],
        );
    }
}

#[test]
fn what_is_not_used_needs_no_interface() {
    let source = "import { log, object, step } from \"runner-sdk\";\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"says so\", params: object({}),\n\
                  run() { log.info(\"so\"); } });\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(component) = built(&project) else { return };
    assert_imports(&component.unwrap(), &["log", "types"]);
}

/// A module is run when it is built, and one that throws then is not.
#[test]
fn a_header_is_found_in_any_case() {
    let source = "import { object, Response, step } from \"runner-sdk\";\n\
                  const headers = [{ name: \"etag\", value: \"a\" }, { name: \"etag\", value: \"b\" }];\n\
                  const answer = new Response({ status: 200, headers, body: \"\", truncated: false, skipped: false });\n\
                  if (answer.header(\"ETag\") !== \"a\" || answer.header(\"etags\") !== null) throw new Error(\"headers\");\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"x\", params: object({}), run() {} });\n";
    let (_folder, project) = project("javascript", "js", "[\"http\"]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    assert_imports(&result.unwrap(), &["artifacts", "http", "log", "secrets", "targets", "types"]);
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let source = "import { boolean, integer, object, oneOf, step } from \"runner-sdk\";\n\
                  const params = object({ ready: boolean(), tries: integer(), kind: oneOf([\"one\", \"two\"]) });\n\
                  function refused(given, why) {\n\
                  try { params.read({ ready: true, tries: 1, kind: \"one\", ...given }, \"\"); }\n\
                  catch (error) { if (error.message === why) return; }\n\
                  throw new Error(why); }\n\
                  refused({ ready: \"yes\" }, \"`ready` must be true or false\");\n\
                  refused({ tries: 2 ** 53 }, \"`tries` must be a whole number\");\n\
                  refused({ tries: 1.5 }, \"`tries` must be a whole number\");\n\
                  refused({ kind: \"three\" }, \"`kind` must be one of `one`, `two`\");\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"x\", params, run() {} });\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    assert_imports(&result.unwrap(), &["log", "types"]);
}

#[test]
fn whole_numbers_that_would_be_others_are_refused_where_they_are_given() {
    let source = "import { integer, object, record, step } from \"runner-sdk\";\n\
                  import { manifest } from \"runner-sdk/src/step.ts\";\n\
                  const params = object({ by: record(object({ size: integer() })), tries: integer(\"\", { minimum: 1, maximum: 2 ** 60 }) });\n\
                  const own = step({ name: \"config\", version: \"0.1.0\", summary: \"x\", params, outputs: params,\n\
                  run: (given) => given });\n\
                  const { parameters, outputs } = manifest(own);\n\
                  const said = ({ properties: { by, tries } }) => [by.additionalProperties.properties.size, tries]\n\
                  .map(({ minimum, maximum }) => `${minimum} to ${maximum}`).join();\n\
                  const safe = \"-9007199254740991 to 9007199254740991,1 to 9007199254740991\";\n\
                  if (said(parameters) !== safe) throw new Error(said(parameters));\n\
                  if (said(outputs) !== \"undefined to undefined,1 to 1152921504606847000\") throw new Error(said(outputs));\n\
                  export default own;\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    assert_imports(&result.unwrap(), &["log", "types"]);
}

#[test]
fn several_capitals_are_one_word() {
    let source = "import { object, step, string } from \"runner-sdk\";\n\
                  const fields = [\"healthURL\", \"parseHTTPAnswer\", \"URLPath\", \"unitName\", \"x509Cert\", \"aB\"];\n\
                  const params = object(Object.fromEntries(fields.map((field) => [field, string()])));\n\
                  const names = Object.keys(params.json.properties).join(\" \");\n\
                  const wanted = \"health-url parse-http-answer url-path unit-name x509-cert a-b\";\n\
                  if (names !== wanted) throw new Error(names);\n\
                  let twice = \"\";\n\
                  try { object({ healthUrl: string(), healthURL: string() }); } catch (error) { twice = error.message; }\n\
                  if (twice !== \"`healthUrl` and `healthURL` are both `health-url` in a plan\") throw new Error(twice);\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"x\", params, run() {} });\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    assert_imports(&result.unwrap(), &["log", "types"]);
}

#[test]
fn text_and_its_bytes_in_utf_8_are_each_made_of_the_other() {
    let source = "import { object, step } from \"runner-sdk\";\n\
                  import { decoded, encoded } from \"runner-sdk/src/text.ts\";\n\
                  const bytes = [...encoded(\"g\\u{fc}\\u{d55c}\\u{1f600}\\0\")].map((one) => one.toString(16)).join(\" \");\n\
                  if (bytes !== \"67 c3 bc ed 95 9c f0 9f 98 80 0\") throw new Error(bytes);\n\
                  const all = \"\\0\\x7f\\x80\\u07ff\\u0800\\ud7ff\\ue000\\uffff\\u{10000}\\u{10ffff}\".repeat(1000);\n\
                  if (decoded(encoded(all)) !== all || decoded(encoded(\"\")) !== \"\") throw new Error(\"text\");\n\
                  const wrong = [[0x80], [0xc3], [0xc3, 0x67], [0xc0, 0x80], [0xe2, 0x82], [0xe0, 0x9f, 0xbf],\n\
                  [0xed, 0xa0, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80], [0xff]];\n\
                  const taken = wrong.filter((bytes) => decoded(new Uint8Array(bytes)) !== null);\n\
                  if (taken.length > 0) throw new Error(JSON.stringify(taken));\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"x\", params: object({}), run() {} });\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    assert_imports(&result.unwrap(), &["log", "types"]);
}

#[test]
fn parameters_are_closed_and_outputs_open_all_the_way_down() {
    let source = "import { array, integer, object, record, step, string } from \"runner-sdk\";\n\
                  import { manifest } from \"runner-sdk/src/step.ts\";\n\
                  const shape = object({ name: string(), size: integer().default(1) });\n\
                  const nested = object({ one: shape, all: array(shape), by: record(shape) });\n\
                  const own = step({ name: \"config\", version: \"0.1.0\", summary: \"x\", params: nested, outputs: nested,\n\
                  run: (given) => given });\n\
                  const { parameters, outputs } = manifest(own);\n\
                  const closed = (json) => JSON.stringify(json).split('\"additionalProperties\":false').length - 1;\n\
                  if (closed(parameters) !== 4 || closed(outputs) !== 0) throw new Error(JSON.stringify(outputs));\n\
                  if (!outputs.properties.by.additionalProperties.required) throw new Error(JSON.stringify(outputs));\n\
                  export default own;\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    assert_imports(&result.unwrap(), &["log", "types"]);
}

#[test]
fn an_interface_that_is_not_named_is_told() {
    let source = "import { object, step, timer } from \"runner-sdk\";\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"waits\", params: object({}),\n\
                  run() { timer.sleep(1); } });\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    let error = result.unwrap_err();
    assert!(
        error.ends_with("the step uses the interface `timer`: add \"timer\" to `imports` in step.toml"),
        "{error}"
    );
}

#[test]
fn a_mistake_is_shown_with_its_file_and_line() {
    let source = "import { step } from \"runner-sdk\";\n\nexport default step({ name: \n";
    for (language, file) in [("javascript", "src/step.js"), ("typescript", "src/step.ts")] {
        let (_folder, project) = project(language, "js", "[]", &[(file, source)]);
        let Some(result) = built(&project) else { return };
        let error = result.unwrap_err();
        assert!(error.contains(&format!("{file}:4:")) || error.contains(&format!("{file}(4,")), "{error}");
    }
}

#[test]
fn a_type_that_does_not_fit_is_shown_with_its_file_and_line() {
    let source = "import { object, step, string, Target } from \"runner-sdk\";\n\
                  export default step({ name: \"config\", version: \"0.1.0\", summary: \"reads\",\n\
                  params: object({ file: string(\"It.\").optional() }),\n\
                  run({ file }) { Target.current().read(file); } });\n";
    let (_folder, project) = project("typescript", "js", "[\"targets\"]", &[("src/step.ts", source)]);
    let Some(result) = built(&project) else { return };
    let error = result.unwrap_err();
    assert!(error.contains("src/step.ts(4,39): error TS2345"), "{error}");
}

#[test]
fn a_step_of_another_name_is_told() {
    let source = "import { object, step } from \"runner-sdk\";\n\
                  export default step({ name: \"other\", version: \"0.1.0\", summary: \"x\", params: object({}), run() {} });\n";
    let (_folder, project) = project("javascript", "js", "[]", &[("src/step.js", source)]);
    let Some(result) = built(&project) else { return };
    let error = result.unwrap_err();
    assert!(error.contains("the step is called `other`, and in step.toml `config`"), "{error}");
}
