//! When cron runs something. Cron itself skips what it cannot read, and says so where nobody looks.

use std::ops::RangeInclusive;

const NICKNAMES: [&str; 8] =
    ["@reboot", "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The days of each month, in the longest year.
const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

struct Field {
    what: &'static str,
    range: RangeInclusive<u8>,
    names: &'static [&'static str],
    /// The number of the first name.
    first: u8,
}

const FIELDS: [Field; 5] = [
    Field { what: "the minute", range: 0..=59, names: &[], first: 0 },
    Field { what: "the hour", range: 0..=23, names: &[], first: 0 },
    Field { what: "the day of the month", range: 1..=31, names: &[], first: 0 },
    Field { what: "the month", range: 1..=12, names: &MONTHS, first: 1 },
    Field { what: "the day of the week", range: 0..=7, names: &DAYS, first: 0 },
];

/// The schedule with single spaces, or why it is none.
pub(crate) fn normal(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    if let [word] = words[..]
        && word.starts_with('@')
    {
        return match NICKNAMES.contains(&word) {
            true => Ok(word.to_owned()),
            false => Err(format!("`{}` is none of {}", word.escape_debug(), NICKNAMES.join(", "))),
        };
    }
    let [minute, hour, day, month, weekday] = words[..] else {
        return Err(format!(
            "`{}` has {} fields, not five: minute, hour, day of the month, month, day of the week",
            text.escape_debug(),
            words.len()
        ));
    };
    let mut values = Vec::new();
    for (field, word) in FIELDS.iter().zip([minute, hour, day, month, weekday]) {
        values.push(field.values(word).map_err(|why| format!("{}: {why}", field.what))?);
    }
    // With both days given, cron runs on either.
    let happens = values[3].iter().any(|month| {
        let length = LENGTHS.get(usize::from(*month).wrapping_sub(1)).copied().unwrap_or(0);
        values[2].iter().any(|day| *day <= length)
    });
    if weekday == "*" && !happens {
        return Err(format!("`{text}` never comes: no such month has such a day"));
    }
    Ok(words.join(" "))
}

impl Field {
    /// All values that a field names.
    fn values(&self, text: &str) -> Result<Vec<u8>, String> {
        if let Some(number) = self.name(text) {
            return Ok(vec![number]);
        }
        let mut values = Vec::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            let (low, high) = match (range, range.split_once('-')) {
                ("*", _) => (*self.range.start(), *self.range.end()),
                (_, Some((low, high))) => (self.number(low)?, self.number(high)?),
                (one, None) if step.is_some() => {
                    return Err(format!(
                        "`{}` steps through nothing: write `{}-{}/…`",
                        part.escape_debug(),
                        one.escape_debug(),
                        self.range.end()
                    ));
                }
                (one, None) => (self.number(one)?, self.number(one)?),
            };
            if low > high {
                return Err(format!("`{}` ends before it begins", range.escape_debug()));
            }
            let step = match step {
                None => 1,
                Some(step) => match step.parse::<u8>() {
                    Ok(step) if step >= 1 && step <= *self.range.end() => step,
                    _ => {
                        return Err(format!(
                            "a step is 1 to {}, not `{}`",
                            self.range.end(),
                            step.escape_debug()
                        ));
                    }
                },
            };
            values.extend((low..=high).step_by(step.into()));
        }
        Ok(values)
    }

    fn number(&self, text: &str) -> Result<u8, String> {
        let (low, high) = (self.range.start(), self.range.end());
        let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u8>() {
            Ok(number) if digits && self.range.contains(&number) => Ok(number),
            _ if self.name(text).is_some() => {
                Err(format!("`{text}` is a name, and lists and ranges are of numbers"))
            }
            _ => Err(format!("`{}` is not a number from {low} to {high}", text.escape_debug())),
        }
    }

    fn name(&self, text: &str) -> Option<u8> {
        let index = self.names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
        Some(self.first + u8::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cron_reads_is_taken() {
        for text in [
            "* * * * *",
            "*/5 0-6/2 1,15 jan mon",
            "59 23 31 12 7",
            "0 0 29 2 *",
            "0 0 31 2 1",
            "0 0 30,31 2-4 *",
            "@reboot",
            "@daily",
            "00 03 * * Sun",
        ] {
            assert_eq!(normal(text), Ok(text.to_owned()));
        }
        assert_eq!(normal(" 0\t3  * * * "), Ok("0 3 * * *".to_owned()));
    }

    #[test]
    fn what_cron_would_skip_is_refused() {
        for (text, why) in [
            ("", "`` has 0 fields, not five: minute, hour, day of the month, month, day of the week"),
            (
                "0 3 * *",
                "`0 3 * *` has 4 fields, not five: minute, hour, day of the month, month, day of the week",
            ),
            ("60 * * * *", "the minute: `60` is not a number from 0 to 59"),
            ("* 24 * * *", "the hour: `24` is not a number from 0 to 23"),
            ("* * 0 * *", "the day of the month: `0` is not a number from 1 to 31"),
            ("* * * foo *", "the month: `foo` is not a number from 1 to 12"),
            ("* * * * mon-fri", "the day of the week: `mon` is a name, and lists and ranges are of numbers"),
            ("5-1 * * * *", "the minute: `5-1` ends before it begins"),
            ("*/0 * * * *", "the minute: a step is 1 to 59, not `0`"),
            ("5/10 * * * *", "the minute: `5/10` steps through nothing: write `5-59/…`"),
            ("1,,2 * * * *", "the minute: `` is not a number from 0 to 59"),
            ("+5 * * * *", "the minute: `+5` is not a number from 0 to 59"),
            ("0 0 31 2,4 *", "`0 0 31 2,4 *` never comes: no such month has such a day"),
            (
                "@everyday",
                "`@everyday` is none of @reboot, @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually",
            ),
            (
                "0 0 * * *\n* * * * *",
                "`0 0 * * *\\n* * * * *` has 9 fields, not five: minute, hour, day of the month, month, day of the week",
            ),
        ] {
            assert_eq!(normal(text), Err(why.to_owned()), "{text:?}");
        }
    }
}
