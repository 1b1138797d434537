//! Everything that a person or a program could be shown of a problem.

use runner_model::Problems;
use runner_model::diagnostic::Style;

/// Makes all of it. What is shown on a terminal has no control characters of the file's.
pub fn all(problems: &Problems) {
    for problem in problems {
        let _ = (problem.to_string(), problem.line_and_column());
        serde_json::to_string(problem).expect("JSON");
    }
    let rendered = problems.render(Style { colour: false, width: 80 });
    assert!(rendered.chars().all(|c| !c.is_control() || "\n\t\r".contains(c)), "{rendered:?}");
    assert!(!problems.plain().is_empty());
}
