//! Media types: which of them are JSON's.

/// Whether a media type is JSON's: `application/json` or any type with the suffix `+json` (RFC 6839), whatever its
/// parameters.
pub fn is_json_media_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let suffix = essence.len().checked_sub("+json".len()).and_then(|at| essence.get(at..));
    essence.eq_ignore_ascii_case("application/json")
        || (essence.contains('/') && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_media_types_are_recognised() {
        let json = [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=utf-8",
            "application/cloudevents+json",
            "application/problem+JSON ; a=b",
            "text/x+json",
        ];
        for content_type in json {
            assert!(is_json_media_type(content_type), "{content_type}");
        }
        for content_type in
            ["text/plain", "application/jsonl", "text/json", "+json", "json", "a/b; x=application/json", "é"]
        {
            assert!(!is_json_media_type(content_type), "{content_type}");
        }
    }
}
