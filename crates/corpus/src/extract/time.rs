//! Dates and times as numbers that order as they do.

/// `YYYYMMDDhhmmss` of a date or a date and time, as `2026-01-31T09:30`, `2026/1/31`,
/// `2026년 1월 31일` or `20260131`; `None` of anything else.
pub(super) fn digits(text: &str) -> Option<u64> {
    let runs: Vec<&str> = text
        .split(|character: char| !character.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .collect();
    let mut fields: Vec<u64> = Vec::with_capacity(6);
    for run in runs {
        // Digits without separators: a year of four, then pairs.
        let mut rest = run;
        while !rest.is_empty() && fields.len() < 6 {
            let width = if fields.is_empty() { 4 } else { 2 }.min(rest.len());
            let (field, after) = rest.split_at(width);
            fields.push(field.parse().ok()?);
            rest = after;
        }
    }
    let [year, month, day] = fields.get(..3)? else { return None };
    let part = |at: usize| fields.get(at).copied().unwrap_or(0);
    let (hour, minute, second) = (part(3), part(4), part(5));
    let is_date =
        (1000..10_000).contains(year) && (1..=12).contains(month) && (1..=31).contains(day);
    let is_time = hour <= 24 && minute < 60 && second <= 60;
    (is_date && is_time).then(|| {
        [month, day, &hour, &minute, &second].iter().fold(*year, |all, part| all * 100 + **part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_form_order_alike() {
        for (text, expected) in [
            ("2026-01-31T09:30:05.123", Some(20_260_131_093_005)),
            ("2180-05-06 00:00:00", Some(21_800_506_000_000)),
            ("2026년 1월 31일", Some(20_260_131_000_000)),
            ("2026/1/31 9:05", Some(20_260_131_090_500)),
            ("20260131", Some(20_260_131_000_000)),
            ("202601310930", Some(20_260_131_093_000)),
            ("2026-13-01", None),
            ("내원 당일", None),
            ("12", None),
        ] {
            assert_eq!(digits(text), expected, "{text}");
        }
    }
}
