//! Times as other tools write them.

/// A time in UTC as Python's `datetime.isoformat` writes it.
pub fn iso(unix: f64) -> String {
    let (days, second) = ((unix / 86_400.0).floor(), unix.rem_euclid(86_400.0));
    let (year, month, day) = date(days as i64);
    let (hour, minute, second) = (second as u32 / 3600, second as u32 / 60 % 60, second % 60.0);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:09.6}+00:00", (second * 1e6).floor() / 1e6)
}

/// A time in UTC as W&B names folders: `20261126_235959`.
pub fn compact(unix: f64) -> String {
    iso(unix)[..19].replace(['-', ':'], "").replace('T', "_")
}

/// The date that is this many days after 1970-01-01.
fn date(days: i64) -> (i64, u32, u32) {
    // Years that begin in March have their leap day at the end. An era is 400 of them.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let month_from_january = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month_from_january <= 2);
    (year, month_from_january as u32, (day - (153 * month + 2) / 5 + 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_python_writes_them() {
        assert_eq!(iso(0.0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(iso(951_782_400.25), "2000-02-29T00:00:00.250000+00:00");
        assert_eq!(iso(1_795_737_599.999_999), "2026-11-26T23:59:59.999999+00:00");
        assert_eq!(compact(951_782_400.25), "20000229_000000");
    }
}
