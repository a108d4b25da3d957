//! Numbers as ECMAScript prints them (ECMA-262, Number::toString), if that leaves their value as it is.
//!
//! A token of JSON is any decimal fraction; ECMAScript reads the nearest of the 64-bit floating point numbers and
//! prints the shortest fraction that is read as the same one, of several the nearest. What is accepted here is exactly
//! that fraction, however it was written.

/// The most significant digits that a printed number has.
const DIGITS_MAX: usize = 17;

/// Beyond these a number is infinite, or zero: nothing that begins this far from the point is printed.
const POINT_MIN: i64 = -330;
const POINT_MAX: i64 = 310;

/// Where decimal notation ends and scientific notation begins, both ways.
const PLAIN_POINT_MIN: i64 = -5;
const PLAIN_POINT_MAX: i64 = 21;

/// Appends the number that `token` stands for as ECMAScript prints it; `false`, and nothing, if that were another
/// number. The token is valid JSON. Negative zero is printed as zero.
pub(super) fn push_number(out: &mut Vec<u8>, token: &str) -> bool {
    let printed = Decimal::read(token).filter(Decimal::is_printed_as_it_is);
    if let Some(number) = &printed {
        number.push(out);
    }
    printed.is_some()
}

/// A decimal fraction of few digits: `0.DIGITS` times ten to the power of `point`.
#[derive(Debug, PartialEq)]
struct Decimal {
    negative: bool,
    /// Neither begins nor ends with a zero. Empty for zero.
    digits: String,
    /// Where the point stands, counted in digits from the first. 0 for zero.
    point: i64,
}

impl Decimal {
    /// Reads a token of JSON, or what Rust writes with `{:e}`; `None` for what ECMAScript never prints.
    fn read(token: &str) -> Option<Self> {
        let (negative, magnitude) = match token.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, token),
        };
        let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = || whole.bytes().chain(fraction.bytes());
        let Some(first) = written().position(|digit| digit != b'0') else {
            return Some(Self { negative, digits: String::new(), point: 0 });
        };
        let mut digits = String::with_capacity(DIGITS_MAX);
        for (offset, digit) in written().skip(first).enumerate().filter(|(_, digit)| *digit != b'0') {
            if offset >= DIGITS_MAX || !digit.is_ascii_digit() {
                return None;
            }
            // The zeros between this digit and the last.
            digits.extend(std::iter::repeat_n('0', offset - digits.len()));
            digits.push(char::from(digit));
        }
        // An exponent that is too long to be read is too great, or too small, for any number of digits.
        let exponent: i64 = exponent.parse().ok()?;
        let point = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(first).ok()?)?.checked_add(exponent)?;
        (POINT_MIN..=POINT_MAX).contains(&point).then_some(Self { negative, digits, point })
    }

    /// The shortest fraction that is read as `value`; where several are as short, the nearest; where two are as near,
    /// the even one.
    fn of(value: f64) -> Option<Self> {
        let shortest = value.is_finite().then(|| Self::read(&format!("{value:e}"))).flatten()?;
        Some(shortest.even_of_two(value).unwrap_or(shortest))
    }

    /// The even one of the two fractions with as many digits that are nearest to `value`, if `value` lies exactly
    /// between them and is what it reads as. Rust does not say which of the two it writes.
    fn even_of_two(&self, value: f64) -> Option<Self> {
        let between = exact_digits(value).filter(|exact| exact.len() == self.digits.len() + 1)?;
        let mut digits = between.strip_suffix('5')?.to_owned();
        let last = digits.pop()?.to_digit(10)?;
        digits.push(char::from_digit(last + last % 2, 10)?);
        Some(Self { digits, ..*self }).filter(|even| even.value() == Some(value))
    }

    /// The nearest floating point number.
    fn value(&self) -> Option<f64> {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0.{}e{}", self.digits, self.point).parse().ok()
    }

    fn is_printed_as_it_is(&self) -> bool {
        self.value().and_then(Self::of).is_some_and(|printed| printed == *self)
    }

    fn push(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            out.push(b'0');
            return;
        }
        if self.negative {
            out.push(b'-');
        }
        if (PLAIN_POINT_MIN..=PLAIN_POINT_MAX).contains(&self.point) {
            self.push_plain(out);
        } else {
            self.push_scientific(out);
        }
    }

    fn push_plain(&self, out: &mut Vec<u8>) {
        let digits = self.digits.as_bytes();
        match usize::try_from(self.point) {
            Ok(point) if point >= digits.len() => {
                out.extend_from_slice(digits);
                out.extend(std::iter::repeat_n(b'0', point - digits.len()));
            }
            Ok(point) if point > 0 => {
                out.extend_from_slice(&digits[..point]);
                out.push(b'.');
                out.extend_from_slice(&digits[point..]);
            }
            Ok(_) | Err(_) => {
                out.extend_from_slice(b"0.");
                out.extend((self.point..0).map(|_| b'0'));
                out.extend_from_slice(digits);
            }
        }
    }

    fn push_scientific(&self, out: &mut Vec<u8>) {
        let (first, rest) = self.digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest.as_bytes());
        }
        out.extend_from_slice(format!("e{:+}", self.point - 1).as_bytes());
    }
}

/// All significant digits of `value`, if they make an odd number that fits into 64 bits.
fn exact_digits(value: f64) -> Option<String> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    /// The exponent, as it is stored, under which the fraction's last bit is worth one.
    const EXPONENT_OF_ONE: u64 = 1_075;

    let bits = value.abs().to_bits();
    // Of subnormal numbers, which lack the leading bit, no one has so few digits.
    let integer = bits & ((1 << FRACTION_BITS) - 1) | 1 << FRACTION_BITS;
    let halvings = EXPONENT_OF_ONE.checked_sub(bits >> FRACTION_BITS)?;
    let halvings = u32::try_from(halvings).ok()?.checked_sub(integer.trailing_zeros())?;
    // To halve is to multiply by five and to move the point.
    let digits = (integer >> integer.trailing_zeros()).checked_mul(5_u64.checked_pow(halvings)?)?;
    Some(digits.to_string())
}

#[cfg(test)]
mod tests;
