//! Weights: positive decimal numbers, in whole units.

use crate::digits;

/// How many units one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale(pub(crate) u32);

/// The most digits of a weight that are read, before and after the point: 10^28 units times the greatest scale fit.
const MAX_DIGITS: usize = 28;

impl Scale {
    /// A number in units, such as 1299 for `12.99` where one is 100 units. Where one is a single unit, the number must be
    /// whole; otherwise it is rounded to the nearest unit, halves up. `None` where it is no number, or not from 1 to
    /// 4,294,967,295 units.
    #[inline]
    pub(crate) fn units(self, number: &str) -> Option<u32> {
        match digits::number(number.as_bytes()) {
            Some(whole) => {
                let units = whole.checked_mul(u64::from(self.0))?;
                u32::try_from(units).ok().filter(|units| *units > 0)
            }
            None => self.decimal_units(number),
        }
    }

    fn decimal_units(self, number: &str) -> Option<u32> {
        let (number, exponent) = match number.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (number, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mut digits = format!("{whole}{fraction}");
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || whole.is_empty() {
            return None;
        }
        // The value is `digits` times ten to the power of this.
        let mut power = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        while power < 0 && digits.ends_with('0') {
            digits.pop();
            power += 1;
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > MAX_DIGITS {
            return None;
        }
        let scaled = if digits.is_empty() { 0 } else { digits.parse::<u128>().ok()? } * u128::from(self.0);
        let units = match u32::try_from(power) {
            Ok(power) => 10_u128.checked_pow(power).and_then(|factor| scaled.checked_mul(factor))?,
            Err(_) => {
                // Beyond the digits of a u128 nothing but zero is left.
                let divisor = 10_u128.checked_pow(power.unsigned_abs()).unwrap_or(u128::MAX);
                let (units, rest) = (scaled / divisor, scaled % divisor);
                match self.0 {
                    1 if rest > 0 => return None,
                    _ => units + u128::from(rest >= divisor.div_ceil(2)),
                }
            }
        };
        u32::try_from(units).ok().filter(|units| *units > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weights_are_counted_in_units() {
        let units = |scale: u32, text: &str| Scale(scale).units(text);
        for (text, weight) in [
            ("1", 1),
            ("007", 7),
            ("4294967295", u32::MAX),
            ("2.0", 2),
            ("2.50e1", 25),
            ("1e3", 1000),
            ("20e-1", 2),
        ] {
            assert_eq!(units(1, text), Some(weight), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "1.5",
            "4294967296",
            "1e10",
            "1e",
            "e1",
            ".5",
            "x",
            "1e-1",
            "0x1",
            "Infinity",
        ] {
            assert_eq!(units(1, text), None, "{text}");
        }
        let cents = [
            ("12.99", 1299),
            ("0.33", 33),
            ("7", 700),
            ("0.005", 1),
            ("1.004999", 100),
            ("19.990000000000002", 1999),
        ];
        for (text, weight) in cents {
            assert_eq!(units(100, text), Some(weight), "{text}");
        }
        for text in ["0.00", "0.004", "-5.00", "42949672.96", "1e-400", "1e400", "0e400", "1.2.3", "1_000"] {
            assert_eq!(units(100, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn cents_are_those_of_plain_arithmetic(whole in 0..40_000_000_u64, cents in 0..100_u64) {
            let units = Some((whole * 100 + cents) as u32).filter(|units| *units > 0);
            prop_assert_eq!(Scale(100).units(&format!("{whole}.{cents:02}")), units);
        }
    }
}
