//! Times, as people write them on a command line.

/// A time, a day (its end, UTC), or a duration from now.
pub(crate) fn to_come(text: &str) -> Result<jiff::Timestamp, String> {
    let wrong = || {
        format!(
            "`{text}` is no duration such as 72h or 7d, no day such as 2026-05-01, and no time such as 2026-05-01T12:00:00Z"
        )
    };
    let now = jiff::Timestamp::now();
    let utc = jiff::tz::TimeZone::UTC;
    let at = if let Ok(at) = text.parse::<jiff::Timestamp>() {
        at
    } else if let Ok(day) = text.parse::<jiff::civil::Date>() {
        day.at(23, 59, 59, 0).to_zoned(utc).map_err(|_| wrong())?.timestamp()
    } else {
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let later = now.to_zoned(utc).checked_add(span).map_err(|_| wrong())?;
        later.timestamp().round(jiff::Unit::Second).map_err(|_| wrong())?
    };
    if at <= now { Err(format!("{text} is in the past: it would never count")) } else { Ok(at) }
}

/// A time, a day (its beginning, UTC), or a duration back from now.
pub(crate) fn past(text: &str) -> Result<jiff::Timestamp, String> {
    let wrong = || {
        format!(
            "`{text}` is no duration such as 12h or 7d, no day such as 2026-05-01, and no time such as 2026-05-01T12:00:00Z"
        )
    };
    let utc = jiff::tz::TimeZone::UTC;
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at);
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        return day.to_zoned(utc).map(|day| day.timestamp()).map_err(|_| wrong());
    }
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let now = jiff::Timestamp::now().to_zoned(utc);
    now.checked_sub(span).map(|at| at.timestamp()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_back() {
        assert!(past("7d").unwrap() < jiff::Timestamp::now());
        assert_eq!(past("2026-03-01").map(|at| at.to_string()), Ok("2026-03-01T00:00:00Z".to_owned()));
        assert!(past("lately").unwrap_err().contains("no duration"));
    }

    #[test]
    fn times_are_later_than_now() {
        assert!(to_come("72h").is_ok() && to_come("7d").is_ok() && to_come("2999-01-01T00:00:00Z").is_ok());
        assert_eq!(to_come("2999-01-01").map(|at| at.to_string()), Ok("2999-01-01T23:59:59Z".to_owned()));
        assert!(to_come("2020-01-01T00:00:00Z").unwrap_err().contains("in the past"));
        assert!(to_come("soon").unwrap_err().contains("no duration"));
    }
}
