use proptest::prelude::*;

use super::*;

/// As ECMAScript prints a number that it has computed.
fn shown(value: f64) -> String {
    let mut out = Vec::new();
    Decimal::of(value).unwrap().push(&mut out);
    String::from_utf8(out).unwrap()
}

fn printed(token: &str) -> Option<String> {
    let mut out = Vec::new();
    let kept = push_number(&mut out, token);
    assert!(kept || out.is_empty());
    kept.then(|| String::from_utf8(out).unwrap())
}

#[test]
fn floating_point_numbers_are_printed_as_ecmascript_prints_them() {
    // What `String(x)` says in V8.
    let cases = [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.0 / 3.0, "0.3333333333333333"),
        (123.456, "123.456"),
        (1e20, "100000000000000000000"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (-1e23, "-1e+23"),
        (1e-6, "0.000001"),
        (1.25e-6, "0.00000125"),
        (1e-7, "1e-7"),
        (-1.25e-7, "-1.25e-7"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (9_007_199_254_740_992.0, "9007199254740992"),
        (f64::from_bits(1), "5e-324"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::from_bits(0x4340_0000_0000_0001), "9007199254740994"),
        (f64::from_bits(0x44b5_2d02_c7e1_4af6), "1e+23"),
        (f64::from_bits(0x44b5_2d02_c7e1_4af7), "1.0000000000000001e+23"),
        (f64::from_bits(0x3e70_0000_0000_0000), "5.960464477539063e-8"),
        (f64::EPSILON, "2.220446049250313e-16"),
        (std::f64::consts::PI, "3.141592653589793"),
        (4.35, "4.35"),
        (1_000_000_000_000_000_128.0, "1000000000000000100"),
        (1_423_345.0 / 65_536.0, "21.718521118164062"),
        (5e-324 * 3.0, "1.5e-323"),
    ];
    for (value, expected) in cases {
        assert_eq!(shown(value), expected, "{value:e}");
    }
}

#[test]
fn a_number_keeps_its_value_however_it_is_written() {
    let cases = [
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.00e-5", "0"),
        ("0e999999999999999999999999", "0"),
        ("1e2", "100"),
        ("1E+02", "100"),
        ("100e-2", "1"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("10.010", "10.01"),
        ("1000000000000000000000", "1e+21"),
        ("9007199254740992", "9007199254740992"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("5e-324", "5e-324"),
        ("123456789012345680000", "123456789012345680000"),
        ("21.718521118164062", "21.718521118164062"),
    ];
    for (token, expected) in cases {
        assert_eq!(printed(token).as_deref(), Some(expected), "{token}");
    }
    let padded = format!("0.{}1e{}", "0".repeat(700_000), 700_001);
    assert_eq!(printed(&padded).as_deref(), Some("1"));
    let long = format!("1{}.{}e-{}", "0".repeat(700_000), "0".repeat(9), 700_000);
    assert_eq!(printed(&long).as_deref(), Some("1"));
}

#[test]
fn a_number_that_would_become_another_is_not_printed() {
    let others = [
        "1e400",
        "-1e400",
        "1.8e308",
        "1e-400",
        "2e-324",
        "4.9406564584124654e-324",
        "9007199254740993",
        "-9007199254740993.0",
        "0.1000000000000000055511151231257827",
        "0.30000000000000001",
        "12345678901234567890",
        "1e9223372036854775807",
        "1e99999999999999999999999",
        "1e-99999999999999999999999",
        "1.00000000000000000000000000000000001",
        // Halfway between two fractions of 17 digits, of which ECMAScript prints the even one.
        "21.718521118164063",
        "21.7185211181640625",
    ];
    for token in others {
        assert_eq!(printed(token), None, "{token}");
    }
}

#[test]
fn of_two_fractions_as_near_the_odd_one_is_not_printed() {
    for bits in [14_054_661_726_023_093_194, 4_835_555_949_944_570_649, 4_815_782_020_551_427_944] {
        let value = f64::from_bits(bits);
        let even = Decimal::of(value).unwrap();
        let odd = Decimal::read(&format!("{value:e}")).unwrap();
        assert_eq!((even.value(), odd.value()), (Some(value), Some(value)));
        assert_ne!(even, odd);
        assert!(even.is_printed_as_it_is() && !odd.is_printed_as_it_is(), "{value:e}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same_number(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = shown(value);
        prop_assert_eq!(text.parse::<f64>().unwrap(), value);
        prop_assert_eq!(printed(&text), Some(text.clone()));
        // Where two fractions are as short and as near, Rust may write the odd one, and that would become the other.
        let written = Decimal::read(&format!("{value:e}")).unwrap();
        let same = Decimal::read(&text).as_ref() == Some(&written);
        prop_assert!(same || written.even_of_two(value) == Decimal::read(&text));
        prop_assert_eq!(printed(&format!("{value:e}")), same.then(|| text.clone()));
        let exact = printed(&format!("{value:.400}"));
        prop_assert!(exact.is_none_or(|exact| exact == text));
    }

    #[test]
    fn whole_numbers_up_to_two_to_the_53_stay_as_they_are(number in -(1_i64 << 53)..=1 << 53) {
        prop_assert_eq!(printed(&number.to_string()), Some(number.to_string()));
    }

    #[test]
    fn odd_tokens_never_panic(token in "-?[0-9.eE+é-]{0,40}") {
        let mut out = Vec::new();
        push_number(&mut out, &token);
    }
}
