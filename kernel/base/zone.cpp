#include "kernel/base/zone.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "kernel/base/text.h"

namespace opensend::base {

namespace {

constexpr std::string_view kZoneFolder = "/usr/share/zoneinfo";
constexpr size_t kMaxZoneFile = 1 << 20;
constexpr size_t kMaxZoneName = 64;
constexpr int64_t kDaySeconds = 86'400;

struct BuiltInZone {
    std::string_view name;
    std::string_view rule;
};

constexpr BuiltInZone kBuiltInZones[] = {
    {"UTC",                 "UTC0"                  },
    {"GMT",                 "GMT0"                  },
    {"Etc/UTC",             "UTC0"                  },
    {"America/New_York",    "EST5EDT,M3.2.0,M11.1.0"},
    {"America/Chicago",     "CST6CDT,M3.2.0,M11.1.0"},
    {"America/Denver",      "MST7MDT,M3.2.0,M11.1.0"},
    {"America/Los_Angeles", "PST8PDT,M3.2.0,M11.1.0"},
};

int64_t DaysToYear(int year) {
    const auto civil = FromCivil({year, 1, 1, 0, 0, 0, 0});
    return civil ? civil->Seconds() / kDaySeconds : 0;
}

bool IsLeapYear(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/// Seconds since 1970 of a change-over in local time of before the change.
int64_t LocalSecondsOf(const ZoneRule::Change& change, int year) {
    int64_t day = 0;
    if (change.kind == 'J') {
        day = DaysToYear(year) + change.day - 1 + (IsLeapYear(year) && change.day >= 60 ? 1 : 0);
    } else if (change.kind == 'N') {
        day = DaysToYear(year) + change.day;
    } else {
        const auto first = FromCivil({year, change.month, 1, 0, 0, 0, 0}).value_or(Time{});
        const int shift = (change.weekday - Weekday(first) + 7) % 7;
        int in_month = 1 + shift + 7 * (change.week - 1);
        while (!FromCivil({year, change.month, in_month, 0, 0, 0, 0})) in_month -= 7;
        day = first.Seconds() / kDaySeconds + in_month - 1;
    }
    return day * kDaySeconds + change.seconds;
}

/// Reads the parts of a rule text from left to right.
class RuleReader {
public:
    explicit RuleReader(std::string_view text) : rest_(text) {}

    bool done() const { return rest_.empty(); }
    bool Peek(char c) const { return !rest_.empty() && rest_.front() == c; }
    bool Take(char c) {
        if (!Peek(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool TakeName() {
        size_t length = 0;
        if (Take('<')) {
            length = rest_.find('>');
            if (length == std::string_view::npos || length == 0) return false;
            rest_.remove_prefix(length + 1);
            return true;
        }
        const auto is_letter = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        };
        while (length < rest_.size() && is_letter(rest_[length])) ++length;
        rest_.remove_prefix(length);
        return length >= 3;
    }
    std::optional<int> TakeNumber(int max) {
        int value = 0;
        size_t digits = 0;
        while (digits < rest_.size() && digits < 4 && rest_[digits] >= '0' && rest_[digits] <= '9'
        ) {
            value = value * 10 + (rest_[digits++] - '0');
        }
        if (digits == 0 || value > max) return std::nullopt;
        rest_.remove_prefix(digits);
        return value;
    }
    /// [+-]hh[:mm[:ss]] in seconds.
    std::optional<int> TakeTime() {
        const bool negative = Take('-');
        if (!negative) Take('+');
        int total = 0;
        int unit = 3600;
        for (int part = 0; part < 3; ++part, unit /= 60) {
            if (part > 0 && !Take(':')) break;
            const auto number = TakeNumber(part == 0 ? 167 : 59);
            if (!number) return std::nullopt;
            total += *number * unit;
        }
        return negative ? -total : total;
    }
    std::optional<ZoneRule::Change> TakeChange() {
        ZoneRule::Change change;
        if (Take('M')) {
            const auto month = TakeNumber(12);
            if (!month || *month == 0 || !Take('.')) return std::nullopt;
            const auto week = TakeNumber(5);
            if (!week || *week == 0 || !Take('.')) return std::nullopt;
            const auto weekday = TakeNumber(6);
            if (!weekday) return std::nullopt;
            change.month = *month;
            change.week = *week;
            change.weekday = *weekday;
        } else {
            change.kind = Take('J') ? 'J' : 'N';
            const auto day = TakeNumber(365);
            if (!day || (change.kind == 'J' && *day == 0)) return std::nullopt;
            change.day = *day;
        }
        if (Take('/')) {
            const auto seconds = TakeTime();
            if (!seconds) return std::nullopt;
            change.seconds = *seconds;
        }
        return change;
    }

private:
    std::string_view rest_;
};

/// Big-endian reader that never leaves its bytes.
class ZoneBytes {
public:
    explicit ZoneBytes(std::string_view bytes) : bytes_(bytes) {}

    bool Has(size_t count) const { return bytes_.size() - at_ >= count; }
    void Skip(size_t count) { at_ += count; }
    std::string_view Rest() const { return bytes_.substr(at_); }
    uint8_t Byte() { return static_cast<uint8_t>(bytes_[at_++]); }
    int64_t Signed(size_t width) {
        uint64_t value = 0;
        for (size_t i = 0; i < width; ++i) value = (value << 8) | Byte();
        if (width == 4) return static_cast<int32_t>(static_cast<uint32_t>(value));
        return static_cast<int64_t>(value);
    }

private:
    std::string_view bytes_;
    size_t at_ = 0;
};

struct ZoneHeader {
    char version = 0;
    size_t utc_flags = 0, standard_flags = 0, leaps = 0, times = 0, types = 0, names = 0;

    size_t DataSize(size_t width) const {
        return times * (width + 1) + types * 6 + names + leaps * (width + 4) + standard_flags +
               utc_flags;
    }
};

std::optional<ZoneHeader> ReadZoneHeader(ZoneBytes& in) {
    if (!in.Has(44) || in.Rest().substr(0, 4) != "TZif") return std::nullopt;
    ZoneHeader header;
    in.Skip(4);
    header.version = static_cast<char>(in.Byte());
    in.Skip(15);
    for (size_t* count :
         {&header.utc_flags, &header.standard_flags, &header.leaps, &header.times, &header.types,
          &header.names}) {
        const int64_t value = in.Signed(4);
        if (value < 0 || value > static_cast<int64_t>(kMaxZoneFile)) return std::nullopt;
        *count = static_cast<size_t>(value);
    }
    // Leap seconds would shift every instant; such files do not belong to a civil clock.
    if (header.types == 0 || header.leaps != 0) return std::nullopt;
    return header;
}

bool IsZoneName(std::string_view name) {
    if (name.empty() || name.size() > kMaxZoneName || name.front() == '/') return false;
    if (name.find("..") != std::string_view::npos) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '+' || c == '-' || c == '/';
    });
}

/// The file of a zone, each part of the name found in any case.
std::optional<std::filesystem::path> FindZoneFile(std::string_view name) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::path path(kZoneFolder);
    const auto parts = Split(name, '/');
    const std::string top = AsciiLower(parts.front());
    if (top == "right" || top == "posix" || top == "localtime" || top == "posixrules") return {};
    for (const auto part : parts) {
        if (part.empty()) return std::nullopt;
        if (fs::exists(path / part, error)) {
            path /= part;
            continue;
        }
        bool found = false;
        for (fs::directory_iterator it(path, error), end; !error && it != end;
             it.increment(error)) {
            const std::string entry = it->path().filename().string();
            if (!EqualsIgnoreCase(entry, part)) continue;
            path /= entry;
            found = true;
            break;
        }
        if (!found) return std::nullopt;
    }
    if (!fs::is_regular_file(path, error)) return std::nullopt;
    return path;
}

}  // namespace

int ZoneRule::OffsetAt(int64_t utc_seconds) const {
    if (!has_summer) return standard_offset;
    const int year = ToCivil({(utc_seconds + standard_offset) * 1'000'000}).year;
    const int64_t from = LocalSecondsOf(begin, year) - standard_offset;
    const int64_t to = LocalSecondsOf(end, year) - summer_offset;
    const bool summer = from < to ? utc_seconds >= from && utc_seconds < to
                                  : utc_seconds < to || utc_seconds >= from;
    return summer ? summer_offset : standard_offset;
}

std::optional<ZoneRule> ParseZoneRule(std::string_view text) {
    RuleReader in(text);
    ZoneRule rule;
    if (!in.TakeName()) return std::nullopt;
    const auto standard = in.TakeTime();
    if (!standard) return std::nullopt;
    rule.standard_offset = -*standard;
    if (in.done()) return rule;
    if (!in.TakeName()) return std::nullopt;
    rule.has_summer = true;
    rule.summer_offset = rule.standard_offset + 3600;
    if (!in.Peek(',')) {
        const auto summer = in.TakeTime();
        if (!summer) return std::nullopt;
        rule.summer_offset = -*summer;
    }
    if (!in.Take(',')) return std::nullopt;
    const auto begin = in.TakeChange();
    if (!begin || !in.Take(',')) return std::nullopt;
    const auto end = in.TakeChange();
    if (!end || !in.done()) return std::nullopt;
    rule.begin = *begin;
    rule.end = *end;
    return rule;
}

Zone Zone::Fixed(int offset) {
    Zone zone;
    zone.first_offset_ = offset;
    return zone;
}

std::optional<Zone> Zone::FromFile(std::string_view bytes) {
    if (bytes.size() > kMaxZoneFile) return std::nullopt;
    ZoneBytes in(bytes);
    auto header = ReadZoneHeader(in);
    if (!header) return std::nullopt;
    size_t width = 4;
    if (header->version >= '2') {
        if (!in.Has(header->DataSize(4))) return std::nullopt;
        in.Skip(header->DataSize(4));
        header = ReadZoneHeader(in);
        if (!header) return std::nullopt;
        width = 8;
    }
    if (!in.Has(header->DataSize(width))) return std::nullopt;
    Zone zone;
    zone.transitions_.resize(header->times);
    for (auto& transition : zone.transitions_) transition.at = in.Signed(width);
    for (auto& transition : zone.transitions_) transition.offset = in.Byte();
    std::vector<int> offsets(header->types);
    for (int& offset : offsets) {
        offset = static_cast<int>(in.Signed(4));
        if (offset < -kDaySeconds * 2 || offset > kDaySeconds * 2) return std::nullopt;
        in.Skip(2);
    }
    for (size_t i = 0; i < zone.transitions_.size(); ++i) {
        auto& transition = zone.transitions_[i];
        const auto type = static_cast<size_t>(transition.offset);
        if (type >= offsets.size()) return std::nullopt;
        if (i > 0 && transition.at < zone.transitions_[i - 1].at) return std::nullopt;
        transition.offset = offsets[type];
    }
    zone.first_offset_ = offsets.front();
    in.Skip(header->DataSize(width) - header->times * (width + 1) - header->types * 6);
    std::string_view footer = in.Rest();
    if (width == 8 && footer.size() > 2 && footer.front() == '\n') {
        footer = footer.substr(1, footer.find('\n', 1) - 1);
        if (!footer.empty()) zone.rule_ = ParseZoneRule(footer);
    }
    return zone;
}

std::optional<Zone> Zone::Find(std::string_view name) {
    if (!IsZoneName(name)) return std::nullopt;
    if (EqualsIgnoreCase(name, "UTC")) return Utc();
    if (const auto path = FindZoneFile(name)) {
        std::ifstream file(*path, std::ios::binary);
        std::string bytes(kMaxZoneFile, '\0');
        file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        bytes.resize(static_cast<size_t>(file.gcount()));
        if (auto zone = FromFile(bytes)) return zone;
    }
    for (const auto& known : kBuiltInZones) {
        if (!EqualsIgnoreCase(known.name, name)) continue;
        Zone zone;
        zone.rule_ = ParseZoneRule(known.rule);
        return zone;
    }
    return std::nullopt;
}

int Zone::OffsetAt(int64_t utc_seconds) const {
    const auto after = std::upper_bound(
        transitions_.begin(), transitions_.end(), utc_seconds,
        [](int64_t at, const Transition& transition) { return at < transition.at; }
    );
    if (after == transitions_.end() && rule_) return rule_->OffsetAt(utc_seconds);
    return after == transitions_.begin() ? first_offset_ : std::prev(after)->offset;
}

CivilTime Zone::ToLocal(Time utc) const {
    return ToCivil(utc + std::chrono::seconds(OffsetAt(utc.Seconds())));
}

std::optional<Time> Zone::ToUtc(const CivilTime& local) const {
    const auto as_utc = FromCivil(local);
    if (!as_utc) return std::nullopt;
    // A day to both sides is wider than any offset and narrower than any two changes.
    const int before = OffsetAt(as_utc->Seconds() - kDaySeconds);
    const int after = OffsetAt(as_utc->Seconds() + kDaySeconds);
    const Time by_before = *as_utc - std::chrono::seconds(before);
    const Time by_after = *as_utc - std::chrono::seconds(after);
    const bool before_holds = OffsetAt(by_before.Seconds()) == before;
    const bool after_holds = OffsetAt(by_after.Seconds()) == after;
    if (before_holds && after_holds) return std::min(by_before, by_after);
    return after_holds ? by_after : by_before;
}

}  // namespace opensend::base
