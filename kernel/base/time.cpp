#include "kernel/base/time.h"

#include <array>
#include <cstdio>

namespace opensend::base {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;

int64_t DaysFromCivil(int y, int m, int d) {
    y -= m <= 2;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t yoe = y - era * 400;
    const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

bool IsLeap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

int DaysInMonth(int y, int m) {
    constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && IsLeap(y) ? 29 : kDays[static_cast<size_t>(m - 1)];
}

int64_t FloorDays(int64_t us) { return us >= 0 ? us / kDayUs : (us - kDayUs + 1) / kDayUs; }

/// Reads exactly `digits` decimal digits at `at`; -1: not there.
int Digits(std::string_view text, size_t at, size_t digits) {
    if (at + digits > text.size()) return -1;
    int value = 0;
    for (size_t i = at; i < at + digits; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

struct Scan {
    std::string_view text;
    size_t at = 0;

    bool Take(char c) {
        if (at >= text.size() || text[at] != c) return false;
        ++at;
        return true;
    }
    bool Number(size_t digits, int& out) {
        out = Digits(text, at, digits);
        if (out < 0) return false;
        at += digits;
        return true;
    }
    bool done() const { return at == text.size(); }
};

bool ReadFraction(Scan& scan, int& micros) {
    int scale = 100'000;
    size_t count = 0;
    micros = 0;
    while (scan.at < scan.text.size() && scan.text[scan.at] >= '0' && scan.text[scan.at] <= '9') {
        micros += (scan.text[scan.at] - '0') * scale;
        scale /= 10;
        ++scan.at;
        if (++count > 9) return false;
    }
    return count > 0;
}

bool ReadOffset(Scan& scan, int& minutes) {
    minutes = 0;
    if (scan.Take('Z') || scan.Take('z')) return true;
    const bool plus = scan.Take('+');
    if (!plus && !scan.Take('-')) return false;
    int hh = 0;
    int mm = 0;
    if (!scan.Number(2, hh)) return false;
    if (scan.Take(':') || !scan.done()) {
        if (!scan.Number(2, mm)) return false;
    }
    if (hh > 23 || mm > 59) return false;
    minutes = (plus ? 1 : -1) * (hh * 60 + mm);
    return true;
}

}  // namespace

CivilTime ToCivil(Time utc) {
    const int64_t days = FloorDays(utc.us);
    int64_t rest = utc.us - days * kDayUs;
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;
    CivilTime c;
    c.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    c.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    c.year = static_cast<int>(yoe + era * 400 + (c.month <= 2 ? 1 : 0));
    c.micros = static_cast<int>(rest % 1'000'000);
    rest /= 1'000'000;
    c.second = static_cast<int>(rest % 60);
    c.minute = static_cast<int>(rest / 60 % 60);
    c.hour = static_cast<int>(rest / 3600);
    return c;
}

std::optional<Time> FromCivil(const CivilTime& c) {
    if (c.year < 1 || c.year > 9999 || c.month < 1 || c.month > 12) return std::nullopt;
    if (c.day < 1 || c.day > DaysInMonth(c.year, c.month)) return std::nullopt;
    if (c.hour < 0 || c.hour > 23 || c.minute < 0 || c.minute > 59) return std::nullopt;
    if (c.second < 0 || c.second > 59 || c.micros < 0 || c.micros > 999'999) return std::nullopt;
    const int64_t seconds = c.hour * 3600 + c.minute * 60 + c.second;
    return Time{DaysFromCivil(c.year, c.month, c.day) * kDayUs + seconds * 1'000'000 + c.micros};
}

int Weekday(Time utc) { return static_cast<int>(((FloorDays(utc.us) + 4) % 7 + 7) % 7); }

std::string FormatIso(Time time) {
    const CivilTime c = ToCivil(time);
    std::array<char, 40> buffer{};
    const int n = std::snprintf(
        buffer.data(), buffer.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day,
        c.hour, c.minute, c.second, c.micros / 1000
    );
    return std::string(buffer.data(), static_cast<size_t>(n));
}

std::string FormatRfc5322(Time time) {
    static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                         "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> kMonths = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const CivilTime c = ToCivil(time);
    std::array<char, 48> buffer{};
    const int n = std::snprintf(
        buffer.data(), buffer.size(), "%s, %02d %s %04d %02d:%02d:%02d +0000",
        kDays[static_cast<size_t>(Weekday(time))], c.day, kMonths[static_cast<size_t>(c.month - 1)],
        c.year, c.hour, c.minute, c.second
    );
    return std::string(buffer.data(), static_cast<size_t>(n));
}

std::optional<Time> ParseIso(std::string_view text) {
    Scan scan{text};
    CivilTime c;
    if (!scan.Number(4, c.year) || !scan.Take('-') || !scan.Number(2, c.month)) return {};
    if (!scan.Take('-') || !scan.Number(2, c.day)) return {};
    int offset = 0;
    if (!scan.done()) {
        if (!scan.Take('T') && !scan.Take('t') && !scan.Take(' ')) return {};
        if (!scan.Number(2, c.hour) || !scan.Take(':') || !scan.Number(2, c.minute)) return {};
        if (scan.Take(':') && !scan.Number(2, c.second)) return {};
        if (scan.Take('.') && !ReadFraction(scan, c.micros)) return {};
        if (c.second == 60) {
            c.second = 59;
            c.micros = 990'000;
        }
        if (!scan.done() && !ReadOffset(scan, offset)) return {};
    }
    const auto local = FromCivil(c);
    if (!scan.done() || !local) return {};
    return *local - std::chrono::minutes(offset);
}

}  // namespace opensend::base
