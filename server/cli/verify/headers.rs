//! Headers as people have them: on the command line, or pasted from a log.

/// The headers of a webhook. Has no Debug output: they may hold what belongs in no log.
#[derive(Default)]
pub(super) struct Headers(Vec<(String, String)>);

/// What is not a header, and where. Never repeats it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A line is not of the form of headers.
    #[error("{0} is not of the form `Name: value`")]
    Malformed(String),
    /// The text is in some other encoding.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
}

impl Headers {
    /// Adds a header; `place` says where it stands.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn add(&mut self, place: &str, line: &str) -> Result<(), HeaderError> {
        let malformed = || HeaderError::Malformed(place.to_owned());
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        http::HeaderName::try_from(name.trim()).map_err(|_| malformed())?;
        self.0.push((name.trim().to_owned(), value.trim().to_owned()));
        Ok(())
    }

    /// Adds the headers of a log, one a line; `file` says where it is from. Empty lines are skipped, and so is a request line
    /// that comes first.
    ///
    /// # Errors
    /// The first line that is no header.
    pub(super) fn add_log(&mut self, file: &str, log: &[u8]) -> Result<(), HeaderError> {
        let text = std::str::from_utf8(log).map_err(|_| HeaderError::NotText(file.to_owned()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        for (place, (index, line)) in lines.enumerate() {
            if place > 0 || !is_request_line(line) {
                self.add(&format!("line {} of {file}", index + 1), line)?;
            }
        }
        Ok(())
    }

    /// The value of a header that is there once; upper and lower case do not differ.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// `POST /hooks HTTP/1.1` (RFC 9112, section 3).
fn is_request_line(line: &str) -> bool {
    line.split_whitespace().next_back().is_some_and(|version| version.starts_with("HTTP/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Result<Headers, HeaderError> {
        let mut headers = Headers::default();
        headers.add_log("log", text.as_bytes()).map(|()| headers)
    }

    #[test]
    fn headers_are_read_as_they_stand_in_a_log() {
        let headers =
            log("\r\nPOST /hooks?a=b:c HTTP/1.1\r\nHost: h:8080\r\n\r\nWebhook-ID:msg_1\t\r\nx-empty:\r\n").unwrap();
        assert_eq!(headers.get("webhook-id"), Some("msg_1"));
        assert_eq!(headers.get("HOST"), Some("h:8080"));
        assert_eq!(headers.get("x-empty"), Some(""));
        assert_eq!(headers.get("post /hooks?a=b"), None);
    }

    #[test]
    fn header_that_is_there_twice_has_no_value() {
        let headers = log("a: 1\nA: 1\nb: 2").unwrap();
        assert_eq!((headers.get("a"), headers.get("b")), (None, Some("2")));
    }

    #[test]
    fn what_is_no_header_is_refused_with_its_line_and_not_repeated() {
        for (text, line) in
            [("a: 1\n\nhush", 3), ("{\"hush\": 1}", 1), ("a: 1\nPOST / HTTP/1.1", 2), (": hush", 1), ("a hush: b", 1)]
        {
            assert_eq!(log(text).err(), Some(HeaderError::Malformed(format!("line {line} of log"))), "{text}");
        }
        let refused = Headers::default().add_log("log", b"a: \xff");
        assert_eq!(refused, Err(HeaderError::NotText("log".to_owned())));
    }
}
