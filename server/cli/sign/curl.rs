//! A webhook as a command line of curl.

use std::{fmt::Write, path::Path};

use crate::model::envelope::BodyForm;

/// A command for a POSIX shell, with its end of line.
pub(super) fn command(headers: &[(&str, String)], form: BodyForm, file: &Path, url: &str) -> String {
    let mut command = String::from("curl -isS");
    for (name, value) in headers {
        let _ = write!(command, " \\\n  -H {}", quoted(&format!("{name}: {value}")));
    }
    let (option, field) = match form {
        BodyForm::FormPayload => ("--data-urlencode", "payload"),
        BodyForm::AsIs | BodyForm::StableJson => ("--data-binary", ""),
    };
    let data = quoted(&format!("{field}@{}", file.display()));
    let _ = writeln!(command, " \\\n  {option} {data} \\\n  {}", quoted(url));
    command
}

/// Between single quotes nothing is special but they themselves (POSIX.1-2017, Shell Command Language, 2.2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_special_to_the_shell() {
        let headers = [("x-a", "it's $HOME".to_owned())];
        let command = command(&headers, BodyForm::AsIs, Path::new("a b.json"), "http://h/?a=1&b=2");
        assert_eq!(
            command,
            "curl -isS \\\n  -H 'x-a: it'\\''s $HOME' \\\n  --data-binary '@a b.json' \\\n  'http://h/?a=1&b=2'\n"
        );
    }

    #[test]
    fn form_is_made_of_the_json() {
        let command = command(&[], BodyForm::FormPayload, Path::new("a.json"), "http://h/");
        assert!(command.contains(" --data-urlencode 'payload@a.json' "), "{command}");
    }
}
