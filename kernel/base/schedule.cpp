#include "kernel/base/schedule.h"

#include <array>
#include <cmath>
#include <string>

#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/base/zone.h"

namespace opensend::base {

namespace {

constexpr size_t kMaxExpression = 100;
constexpr long double kMaxSpanMicros = 3.2e15L;  // a century

struct SpanUnit {
    std::string_view name;
    int64_t seconds;
};

constexpr SpanUnit kSpanUnits[] = {
    {"s",       1     },
    {"sec",     1     },
    {"secs",    1     },
    {"second",  1     },
    {"seconds", 1     },
    {"m",       60    },
    {"min",     60    },
    {"mins",    60    },
    {"minute",  60    },
    {"minutes", 60    },
    {"h",       3600  },
    {"hr",      3600  },
    {"hrs",     3600  },
    {"hour",    3600  },
    {"hours",   3600  },
    {"d",       86400 },
    {"day",     86400 },
    {"days",    86400 },
    {"w",       604800},
    {"week",    604800},
    {"weeks",   604800},
};

struct FixedZoneName {
    std::string_view name;
    int hours;
    std::string_view zone;  // not empty: follows the zone's daylight time
};

constexpr FixedZoneName kZoneNames[] = {
    {"z",   0,  ""                   },
    {"utc", 0,  ""                   },
    {"gmt", 0,  ""                   },
    {"est", -5, ""                   },
    {"edt", -4, ""                   },
    {"cst", -6, ""                   },
    {"cdt", -5, ""                   },
    {"mst", -7, ""                   },
    {"mdt", -6, ""                   },
    {"pst", -8, ""                   },
    {"pdt", -7, ""                   },
    {"et",  0,  "America/New_York"   },
    {"ct",  0,  "America/Chicago"    },
    {"mt",  0,  "America/Denver"     },
    {"pt",  0,  "America/Los_Angeles"},
};

constexpr std::string_view kWeekdays[] = {"sunday",   "monday", "tuesday", "wednesday",
                                          "thursday", "friday", "saturday"};
constexpr std::string_view kMonths[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};

bool IsLowerLetter(char c) { return c >= 'a' && c <= 'z'; }
bool IsDecimal(char c) { return c >= '0' && c <= '9'; }

/// A position in lower-case text. Take… moves on success only.
class ExpressionReader {
public:
    explicit ExpressionReader(std::string_view text) : rest_(text) {}

    bool done() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }
    void Skip(size_t count) { rest_.remove_prefix(count); }
    bool Take(std::string_view literal) {
        if (rest_.substr(0, literal.size()) != literal) return false;
        Skip(literal.size());
        return true;
    }
    /// A whole word of letters.
    bool TakeWord(std::string_view word) {
        if (Word() != word) return false;
        Skip(word.size());
        return true;
    }
    std::string_view Word() const {
        size_t length = 0;
        while (length < rest_.size() && IsLowerLetter(rest_[length])) ++length;
        return rest_.substr(0, length);
    }
    size_t CountDigits() const {
        size_t count = 0;
        while (count < rest_.size() && IsDecimal(rest_[count])) ++count;
        return count;
    }
    /// A number that has between `min` and `max` digits and no further digit behind it.
    std::optional<int> TakeDigits(size_t min, size_t max) {
        const size_t count = CountDigits();
        if (count < min || count > max) return std::nullopt;
        const auto value = ParseInt(rest_.substr(0, count));
        Skip(count);
        return static_cast<int>(*value);
    }
    /// The index of a name given in full or by its first three letters.
    template <size_t N>
    std::optional<int> TakeName(const std::string_view (&names)[N]) {
        const auto word = Word();
        for (size_t i = 0; i < N; ++i) {
            if (word != names[i] && word != names[i].substr(0, 3)) continue;
            Skip(word.size());
            return static_cast<int>(i);
        }
        return std::nullopt;
    }

private:
    std::string_view rest_;
};

struct ClockTime {
    int hour = 0, minute = 0, second = 0, micros = 0;
    bool has_seconds = false;
};

enum class DayKind { kToday = 1, kTonight, kTomorrow, kWeekday, kDate };

struct DayWord {
    DayKind kind = DayKind::kToday;
    int weekday = 0;
    int month = 0, day = 0;
    std::optional<int> year;
};

std::optional<long double> TakeAmount(ExpressionReader& in) {
    long double number = 1;
    if (const size_t digits = in.CountDigits(); digits > 0) {
        if (digits > 9) return std::nullopt;
        number = static_cast<long double>(*in.TakeDigits(1, 9));
        if (in.Take(".")) {
            const size_t decimals = in.CountDigits();
            if (decimals == 0 || decimals > 9) return std::nullopt;
            const auto fraction = static_cast<long double>(*in.TakeDigits(1, 9));
            number += fraction / std::pow(10.0L, static_cast<long double>(decimals));
        }
    } else if (!in.Take("an ") && !in.Take("a ")) {
        // "anhour", but "and" is a word of its own and no day.
        if (!in.Take("an") && !in.Take("a")) return std::nullopt;
        if (in.Word().size() < 2) return std::nullopt;
    }
    in.Take(" ");
    for (const auto& unit : kSpanUnits) {
        if (!in.TakeWord(unit.name)) continue;
        if (number <= 0) return std::nullopt;
        return number * static_cast<long double>(unit.seconds) * 1e6L;
    }
    return std::nullopt;
}

std::optional<Duration> ReadSpan(ExpressionReader& in) {
    long double total = 0;
    do {
        const auto amount = TakeAmount(in);
        if (!amount) return std::nullopt;
        total += *amount;
    } while (in.Take(" and ") || in.Take(", ") || in.Take(" "));
    if (!in.done() || total > kMaxSpanMicros) return std::nullopt;
    const Duration span(std::llround(total));
    if (span <= Duration::zero()) return std::nullopt;
    return span;
}

/// [:mm[:ss]] behind the hour; a leap second is read as the last instant before it.
bool TakeMinutes(ExpressionReader& in, ClockTime& clock) {
    if (!in.Take(":")) return true;
    const auto minute = in.TakeDigits(2, 2);
    if (!minute || *minute > 59) return false;
    clock.minute = *minute;
    if (!in.Take(":")) return true;
    const auto second = in.TakeDigits(2, 2);
    if (!second || *second > 60) return false;
    clock.second = *second;
    clock.has_seconds = true;
    return true;
}

void SettleLeapSecond(ClockTime& clock) {
    if (clock.second != 60) return;
    clock.second = 59;
    clock.micros = 999'000;
}

std::optional<ClockTime> TakeClock(ExpressionReader& in) {
    ExpressionReader ahead = in;
    ClockTime clock;
    if (ahead.TakeWord("noon") || ahead.TakeWord("midnight")) {
        clock.hour = in.rest().front() == 'n' ? 12 : 0;
        in = ahead;
        return clock;
    }
    const size_t digits = ahead.CountDigits();
    const auto hour = ahead.TakeDigits(1, 2);
    if (!hour) return std::nullopt;
    const bool has_minutes = !ahead.done() && ahead.rest().front() == ':';
    if (!TakeMinutes(ahead, clock)) return std::nullopt;
    const bool am = ahead.TakeWord("am");
    const bool pm = !am && ahead.TakeWord("pm");
    if (am || pm) {
        if (*hour < 1 || *hour > 12) return std::nullopt;
        clock.hour = *hour % 12 + (pm ? 12 : 0);
    } else {
        if (!has_minutes || digits != 2 || *hour > 23) return std::nullopt;
        clock.hour = *hour;
    }
    SettleLeapSecond(clock);
    in = ahead;
    return clock;
}

std::optional<DayWord> TakeDate(ExpressionReader& in) {
    DayWord day{DayKind::kDate, 0, 0, 0, std::nullopt};
    const auto month = in.TakeName(kMonths);
    if (!month || !in.Take(" ")) return std::nullopt;
    const auto number = in.TakeDigits(1, 2);
    if (!number) return std::nullopt;
    day.month = *month + 1;
    day.day = *number;
    for (const std::string_view suffix : {"st", "nd", "rd", "th"}) {
        if (in.TakeWord(suffix)) break;
    }
    ExpressionReader ahead = in;
    const bool comma = ahead.Take(",");
    if (ahead.Take(" ")) {
        const auto year = ahead.TakeDigits(4, 4);
        if (year && (ahead.done() || ahead.rest().front() == ' ')) {
            day.year = year;
            in = ahead;
            return day;
        }
    }
    if (comma) return std::nullopt;
    return day;
}

std::optional<DayWord> TakeDay(ExpressionReader& in) {
    ExpressionReader ahead = in;
    DayWord day;
    if (ahead.TakeWord("today")) {
        day.kind = DayKind::kToday;
    } else if (ahead.TakeWord("tonight")) {
        day.kind = DayKind::kTonight;
    } else if (ahead.TakeWord("tomorrow")) {
        day.kind = DayKind::kTomorrow;
    } else {
        if (!ahead.Take("next ") && !ahead.Take("this ")) ahead.Take("on ");
        if (const auto weekday = ahead.TakeName(kWeekdays)) {
            day.kind = DayKind::kWeekday;
            day.weekday = *weekday;
        } else {
            ahead = in;
            const auto date = TakeDate(ahead);
            if (!date) return std::nullopt;
            day = *date;
        }
    }
    in = ahead;
    return day;
}

/// The rest of the text as a zone.
std::optional<Zone> ReadZone(std::string_view text) {
    for (const auto& known : kZoneNames) {
        if (known.name != text) continue;
        if (known.zone.empty()) return Zone::Fixed(known.hours * 3600);
        return Zone::Find(known.zone);
    }
    if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
        std::string digits(text.substr(1));
        if (digits.size() == 5 && digits[2] == ':') digits.erase(2, 1);
        ExpressionReader in(digits);
        const auto number = in.TakeDigits(4, 4);
        if (!number || !in.done() || *number / 100 > 23 || *number % 100 > 59) return std::nullopt;
        const int seconds = *number / 100 * 3600 + *number % 100 * 60;
        return Zone::Fixed(text.front() == '-' ? -seconds : seconds);
    }
    return Zone::Find(text);
}

std::optional<Time> ReadIso(ExpressionReader in, const Zone& default_zone) {
    CivilTime civil;
    const auto year = in.TakeDigits(4, 4);
    if (!year || !in.Take("-")) return std::nullopt;
    const auto month = in.TakeDigits(2, 2);
    if (!month || !in.Take("-")) return std::nullopt;
    const auto day = in.TakeDigits(2, 2);
    if (!day) return std::nullopt;
    civil.year = *year;
    civil.month = *month;
    civil.day = *day;
    if (in.done()) return default_zone.ToUtc(civil);
    if (!in.Take("t") && !in.Take(" ")) return std::nullopt;
    const auto hour = in.TakeDigits(2, 2);
    ClockTime clock;
    if (!hour || !in.rest().starts_with(':') || !TakeMinutes(in, clock)) return std::nullopt;
    if (clock.has_seconds && in.Take(".")) {
        const size_t decimals = in.CountDigits();
        if (decimals == 0 || decimals > 9) return std::nullopt;
        std::string fraction(in.rest().substr(0, decimals));
        fraction.resize(6, '0');
        clock.micros = static_cast<int>(ParseInt(fraction).value_or(0));
        in.Skip(decimals);
    }
    SettleLeapSecond(clock);
    civil.hour = *hour;
    civil.minute = clock.minute;
    civil.second = clock.second;
    civil.micros = clock.micros;
    if (in.done()) return default_zone.ToUtc(civil);
    in.Take(" ");
    const auto zone = ReadZone(in.rest());
    return zone ? zone->ToUtc(civil) : std::nullopt;
}

struct CalendarWords {
    std::optional<DayWord> day;
    std::optional<ClockTime> clock;
};

std::optional<Time> ResolveCalendar(const CalendarWords& words, Time now, const Zone& zone) {
    if (words.day && words.day->kind == DayKind::kTomorrow && !words.clock) {
        return now + std::chrono::hours(24);
    }
    const bool tonight = words.day && words.day->kind == DayKind::kTonight;
    const ClockTime clock = words.clock.value_or(ClockTime{tonight ? 20 : 9, 0, 0, 0, false});
    const CivilTime today = zone.ToLocal(now);
    const auto on_day = [&](int year, int month, int day, int plus_days) -> std::optional<Time> {
        const auto midnight = FromCivil({year, month, day, 0, 0, 0, 0});
        if (!midnight) return std::nullopt;
        CivilTime civil = ToCivil(*midnight + std::chrono::hours(24 * plus_days));
        civil.hour = clock.hour;
        civil.minute = clock.minute;
        civil.second = clock.second;
        civil.micros = clock.micros;
        return zone.ToUtc(civil);
    };
    const auto days_ahead = [&](int days) {
        return on_day(today.year, today.month, today.day, days);
    };
    if (!words.day) {
        const auto time = days_ahead(0);
        return time && *time > now ? time : days_ahead(1);
    }
    const DayWord& day = *words.day;
    if (day.kind == DayKind::kWeekday) {
        const auto midnight = FromCivil({today.year, today.month, today.day, 0, 0, 0, 0});
        const int ahead = (day.weekday - Weekday(midnight.value_or(now)) + 7) % 7;
        const auto time = days_ahead(ahead);
        return time && *time > now ? time : days_ahead(ahead + 7);
    }
    if (day.kind != DayKind::kDate) return days_ahead(day.kind == DayKind::kTomorrow ? 1 : 0);
    if (day.year) return on_day(*day.year, day.month, day.day, 0);
    // 29 February comes again after eight years at the latest.
    for (int year = today.year; year <= today.year + 8; ++year) {
        const auto time = on_day(year, day.month, day.day, 0);
        if (time && *time > now) return time;
    }
    return std::nullopt;
}

std::optional<Time> ReadCalendar(ExpressionReader in, Time now, const Zone& default_zone) {
    CalendarWords words;
    words.clock = TakeClock(in);
    if (words.clock) {
        ExpressionReader ahead = in;
        if (ahead.Take(" ")) {
            words.day = TakeDay(ahead);
            if (words.day) in = ahead;
        }
    } else {
        words.day = TakeDay(in);
        if (!words.day) return std::nullopt;
        ExpressionReader ahead = in;
        const bool at = ahead.Take(" at");
        if (ahead.Take(" ")) words.clock = TakeClock(ahead);
        if (words.clock) in = ahead;
        if (at && !words.clock) return std::nullopt;
    }
    if (in.done()) return ResolveCalendar(words, now, default_zone);
    if (!in.Take(" ")) return std::nullopt;
    const auto zone = ReadZone(in.rest());
    return zone ? ResolveCalendar(words, now, *zone) : std::nullopt;
}

}  // namespace

std::optional<Time> ParseSchedule(std::string_view text, Time now, std::string_view zone) {
    const auto trimmed = Trim(text);
    if (trimmed.empty() || trimmed.size() > kMaxExpression) return std::nullopt;
    const std::string lower = AsciiLower(trimmed);
    ExpressionReader in(lower);
    if (in.Take("in ")) {
        const auto span = ReadSpan(in);
        return span ? std::optional(now + *span) : std::nullopt;
    }
    const Zone default_zone = Zone::Find(zone).value_or(Zone::Utc());
    if (lower.size() >= 10 && lower[4] == '-') return ReadIso(in, default_zone);
    return ReadCalendar(in, now, default_zone);
}

std::optional<Duration> ParseSpan(std::string_view text) {
    const auto trimmed = Trim(text);
    if (trimmed.empty() || trimmed.size() > kMaxExpression) return std::nullopt;
    const std::string lower = AsciiLower(trimmed);
    ExpressionReader in(lower);
    in.Take("in ");
    return ReadSpan(in);
}

}  // namespace opensend::base
