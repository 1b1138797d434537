//! Bundles of a Sigstore of a team's own: an authority for certificates and one for timestamps, without logs, as GitHub has it
//! for private repositories. Both are OpenSSL's, which knows nothing of the runner.

use super::people::of_a_file;
use super::project::{Project, ran};
use super::registries::{push, team, version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runner_fleet::fleet_or_skip;
use runner_model::Digest;
use runner_registry::{Attachment, Client, Credentials, File, Settings};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const ISSUER: &str = "https://ci.example.org";
const RELEASE: &str = "https://git.example.org/team/greet/.ci/release.yml@refs/tags/v1";
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
const BUILT: &str = "https://slsa.dev/provenance/v1";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

struct Sigstore(tempfile::TempDir);

impl Sigstore {
    fn new() -> Self {
        let own = Self(tempfile::tempdir().expect("a folder"));
        own.authority("fulcio");
        own.authority("tsa-root");
        own.certified("tsa", "tsa-root", "extendedKeyUsage=critical,timeStamping\n");
        let config = "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n\
                      digests = sha256\ness_cert_id_alg = sha256\n";
        own.write("tsa.cnf", config);
        own
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).expect("it is written");
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(self.0.path());
        let done = ran(command);
        assert_eq!(done.code, 0, "{arguments}: {}", done.said);
    }

    fn base64(&self, name: &str) -> String {
        STANDARD.encode(fs::read(self.0.path().join(name)).expect(name))
    }

    fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} \
             -days 2 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
        ));
        self.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
    }

    fn certified(&self, name: &str, by: &str, extensions: &str) {
        self.write(&format!("{name}.ext"), format!("keyUsage=critical,digitalSignature\n{extensions}"));
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -days 1 -extfile {name}.ext -outform DER -out {name}.der"
        ));
        self.openssl(&format!("x509 -in {name}.der -inform DER -out {name}.pem"));
    }

    /// What the operator's policy names.
    fn root(&self) -> String {
        let authority = |chain: &[&str]| {
            let chain: Vec<_> = chain.iter().map(|name| json!({ "rawBytes": self.base64(name) })).collect();
            json!([{
                "subject": { "organization": "example.org", "commonName": "sigstore" },
                "uri": "https://sigstore.example.org",
                "certChain": { "certificates": chain },
                "validFor": { "start": "2020-01-01T00:00:00Z" },
            }])
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [],
            "certificateAuthorities": authority(&["fulcio.der"]),
            "ctlogs": [],
            "timestampAuthorities": authority(&["tsa.der", "tsa-root.der"]),
        })
        .to_string()
    }

    /// A statement about what has this digest, signed by whoever signed in at [`ISSUER`].
    fn bundle(&self, identity: &str, predicate: &str, of: &Digest) -> String {
        let extensions = format!(
            "extendedKeyUsage=codeSigning\nsubjectAltName=critical,URI:{identity}\n\
             1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:{ISSUER}\n"
        );
        self.certified("leaf", "fulcio", &extensions);
        const KIND: &str = "application/vnd.in-toto+json";
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "greet", "digest": { "sha256": of.hex() } }],
            "predicateType": predicate,
            "predicate": {},
        })
        .to_string();
        // What DSSE signs: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md
        self.write("pae", format!("DSSEv1 {} {KIND} {} {statement}", KIND.len(), statement.len()));
        self.openssl("dgst -sha256 -sign leaf.key -out sig pae");
        self.write("serial", "01\n");
        self.openssl("ts -query -data sig -sha256 -cert -out query");
        self.openssl("ts -reply -config tsa.cnf -queryfile query -signer tsa.pem -inkey tsa.key -out stamp");
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": { "rawBytes": self.base64("leaf.der") },
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{ "signedTimestamp": self.base64("stamp") }]
                },
            },
            "dsseEnvelope": {
                "payload": STANDARD.encode(statement),
                "payloadType": KIND,
                "signatures": [{ "sig": self.base64("sig") }],
            },
        })
        .to_string()
    }
}

/// The operator believes this Sigstore, and wants to see releases of the team.
fn believe(project: &mut Project, sigstore: &Sigstore) {
    let wanted = format!(
        "{{ issuer = \"{ISSUER}\", identity = \"https://git.example.org/team/*/.ci/release.yml@refs/tags/*\" }}"
    );
    let rules = format!(
        "[trust]\nsigstore-root = \"trusted_root.json\"\n[environment.home]\nmodules = {{ sigstore = [{wanted}] }}"
    );
    project.policy(&rules, "");
    project.write("operator/trusted_root.json", sigstore.root());
}

#[test]
fn a_bundle_beside_a_file_answers_for_it() {
    let (mut project, bytes) = of_a_file();
    let (sigstore, digest) = (Sigstore::new(), Digest::of(&bytes));
    believe(&mut project, &sigstore);
    project.run(&["lock"]).expect(3, &["has no bundle of Sigstore", "cosign sign-blob"]);

    let refused = |project: &Project, bundle: &str, words: &[&str]| {
        project.write("own.wasm.sigstore.json", bundle);
        project.run(&["lock"]).expect(3, words);
        assert!(!project.is_compiled(&digest.to_string()));
    };
    let bundle = |identity: &str, predicate: &str| sigstore.bundle(identity, predicate, &digest);
    refused(&project, "{", &["this is no bundle of Sigstore"]);
    let other = RELEASE.replace("release.yml", "test.yml");
    refused(&project, &bundle(&other, BUILT), &["bundle of Sigstore is by", "test.yml", "asks for one by"]);
    refused(
        &project,
        &bundle(RELEASE, "https://example.org/scan/v1"),
        &["example.org/scan/v1", "neither a signature"],
    );
    refused(&project, &sigstore.bundle(RELEASE, BUILT, &Digest::of("other")), &["about something else"]);
    let elsewhere = Sigstore::new().bundle(RELEASE, BUILT, &digest);
    refused(&project, &elsewhere, &["does not count by", "trusted_root.json"]);
    let good = bundle(RELEASE, BUILT);
    let mut cut: Value = serde_json::from_str(&good).expect("JSON");
    cut["verificationMaterial"]["timestampVerificationData"] = json!({ "rfc3161Timestamps": [] });
    refused(&project, &cut.to_string(), &["does not count by"]);

    project.write("own.wasm.sigstore.json", good);
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);
    project.run(&["exec"]).expect(0, &["1 change"]);
    project
        .run(&["module", "verify", "path:own.wasm", "-e", "home"])
        .expect(0, &["signed with Sigstore by", RELEASE]);

    // What the operator has written wrong is said with the place.
    project.write("operator/trusted_root.json", "{\n}");
    project.run(&["lock"]).expect(2, &["trusted_root.json:2:1", "no trusted root"]);
}

#[test]
fn a_bundle_in_the_registry_is_about_the_component_or_its_manifest() {
    let (registry, mut project) = fleet_or_skip!(team());
    let sigstore = Sigstore::new();
    believe(&mut project, &sigstore);
    let bytes = version(&project, "0.1.0", &[]);
    let manifest: Digest = push(&project, &registry, &bytes, &[]).parse().expect("a digest");
    project.run(&["lock"]).expect(3, &["has no bundle of Sigstore", "push-to-registry"]);

    let config = registry.docker_config().expect("users").join("config.json");
    let client = Client::new(Settings {
        credentials: Credentials::from_files([config]),
        authorities: vec![registry.authority_file()],
        ..Settings::default()
    });
    let client = client.expect("a client");
    let repository = format!("{}/team/puppet", registry.authority()).parse().expect("a repository");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let attach = |bundle: String| {
        let file = File { media_type: BUNDLE.to_owned(), name: String::new(), content: bundle.into() };
        let attachment = Attachment { artifact_type: BUNDLE.to_owned(), files: vec![file] };
        runtime.block_on(client.attach(&repository, &manifest, &attachment)).expect("attached");
    };
    attach(sigstore.bundle(&RELEASE.replace("team", "others"), SIGNED, &manifest));
    project.run(&["lock"]).expect(3, &["bundle of Sigstore is by", "others"]);
    // As `cosign sign` has it.
    attach(sigstore.bundle(RELEASE, SIGNED, &manifest));
    project.run(&["lock"]).expect(0, &["wrote `plan.lock`"]);
    project.run(&["exec"]).expect(0, &["1 change"]);
    let module = format!("oci:{}/team/puppet:0.1.0", registry.authority());
    project
        .run(&["module", "verify", &module, "-e", "home"])
        .expect(0, &["signed with Sigstore by", RELEASE]);
}
