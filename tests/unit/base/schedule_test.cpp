#include "kernel/base/schedule.h"

#include <string>

#include <gtest/gtest.h>

#include "kernel/base/time.h"
#include "kernel/base/zone.h"

namespace opensend::base {
namespace {

constexpr std::string_view kNowText = "2026-03-02T09:15:30Z";

Time At(std::string_view iso) { return ParseIso(iso).value(); }

/// What a caller sees: the instant within the allowed window, or "refused".
std::string Resolve(std::string_view text, std::string_view zone = "UTC", Time now = At(kNowText)) {
    const auto time = ParseSchedule(text, now, zone);
    if (!time || *time <= now || *time > now + std::chrono::hours(24 * 30)) return "refused";
    return FormatIso(*time);
}

struct Row {
    const char* text;
    const char* expected;
};

TEST(Schedule, AcceptedRowsOfTheContractResolve) {
    constexpr Row kRows[] = {
        {"in 1 min",                     "2026-03-02T09:16:30.000Z"},
        {"In 90 seconds",                "2026-03-02T09:17:00.000Z"},
        {"in an hour",                   "2026-03-02T10:15:30.000Z"},
        {"in 1.5 hours",                 "2026-03-02T10:45:30.000Z"},
        {"in 1 hour and 30 minutes",     "2026-03-02T10:45:30.000Z"},
        {"in 2w",                        "2026-03-16T09:15:30.000Z"},
        {"tomorrow at 9am",              "2026-03-03T09:00:00.000Z"},
        {"tomorrow",                     "2026-03-03T09:15:30.000Z"},
        {"Friday at 3pm ET",             "2026-03-06T20:00:00.000Z"},
        {"next monday at 08:30",         "2026-03-09T08:30:00.000Z"},
        {"9am",                          "2026-03-03T09:00:00.000Z"},
        {"noon",                         "2026-03-02T12:00:00.000Z"},
        {"March 5 at 14:00 +0200",       "2026-03-05T12:00:00.000Z"},
        {"2026-03-05 14:00 Europe/Oslo", "2026-03-05T13:00:00.000Z"},
        {"2026-03-02T10:00:00Z",         "2026-03-02T10:00:00.000Z"},
        {"2026-03-02T10:00",             "2026-03-02T10:00:00.000Z"},
        {"2026-03-02T19:30:00+09:00",    "2026-03-02T10:30:00.000Z"},
    };
    for (const auto& row : kRows) EXPECT_EQ(Resolve(row.text), row.expected) << row.text;
}

TEST(Schedule, RefusedRowsOfTheContractAreRefused) {
    for (const char* text :
         {"", "soon", "in 0 min", "in -5 min", "in 31 days", "yesterday", "2026-03-02T09:15:30Z",
          "2026-04-01T09:15:31Z", "2026-13-01", "1767225600", "5", "3.5", "every monday"}) {
        EXPECT_EQ(Resolve(text), "refused") << text;
    }
}

TEST(Schedule, TheWindowIncludesItsLastInstant) {
    EXPECT_EQ(Resolve("2026-04-01T09:15:30Z"), "2026-04-01T09:15:30.000Z");
    EXPECT_EQ(Resolve("in 30 days"), "2026-04-01T09:15:30.000Z");
}

TEST(Schedule, OtherSpellingsOfTheGrammarResolve) {
    constexpr Row kRows[] = {
        {"  TOMORROW AT 9AM  ",                "2026-03-03T09:00:00.000Z"},
        {"tonight",                            "2026-03-02T20:00:00.000Z"},
        {"tonight at 10:30pm",                 "2026-03-02T22:30:00.000Z"},
        {"today at noon",                      "2026-03-02T12:00:00.000Z"},
        {"midnight",                           "2026-03-03T00:00:00.000Z"},
        {"12am",                               "2026-03-03T00:00:00.000Z"},
        {"12pm",                               "2026-03-02T12:00:00.000Z"},
        {"monday",                             "2026-03-09T09:00:00.000Z"},
        {"monday 10:00",                       "2026-03-02T10:00:00.000Z"},
        {"this friday",                        "2026-03-06T09:00:00.000Z"},
        {"on wed at 1:05pm",                   "2026-03-04T13:05:00.000Z"},
        {"9am tomorrow",                       "2026-03-03T09:00:00.000Z"},
        {"9am on friday CET",                  "2026-03-06T08:00:00.000Z"},
        {"3pm PST",                            "2026-03-02T23:00:00.000Z"},
        {"march 5",                            "2026-03-05T09:00:00.000Z"},
        {"Mar 5th, 2026 at 10:00:01",          "2026-03-05T10:00:01.000Z"},
        {"march 21st 2026 7pm z",              "2026-03-21T19:00:00.000Z"},
        {"in 1 day, 2 hours",                  "2026-03-03T11:15:30.000Z"},
        {"in a week",                          "2026-03-09T09:15:30.000Z"},
        {"2026-03-05",                         "2026-03-05T00:00:00.000Z"},
        {"2026-03-05 14:00 europe/oslo",       "2026-03-05T13:00:00.000Z"},
        {"2026-03-05t14:00:00.123456789-0530", "2026-03-05T19:30:00.123Z"},
        {"2026-03-05 14:00 EDT",               "2026-03-05T18:00:00.000Z"},
        {"2026-03-05T23:59:60Z",               "2026-03-05T23:59:59.999Z"},
    };
    for (const auto& row : kRows) EXPECT_EQ(Resolve(row.text), row.expected) << row.text;
}

TEST(Schedule, TextOutsideTheGrammarIsRefused) {
    for (const char* text :
         {"in",
          "in 5",
          "in 5 lightyears",
          "in five minutes",
          "in 1 hour and",
          "in 1.h",
          "in .5 h",
          "in 1 hour or 2 minutes",
          "in 99999999999 h",
          "in 999999999 weeks",
          "9",
          "13pm",
          "0am",
          "24:00",
          "9:5am",
          "tomorrow at",
          "tomorrow at 9",
          "tomorrow 9am 10am",
          "9am monday friday",
          "march",
          "march 32",
          "february 30 2026",
          "march 5, at 9am",
          "2026-02-30",
          "2026-3-5",
          "2026-03-05T",
          "2026-03-05T14",
          "2026-03-05T14:00 Mars/Base",
          "2026-03-05T14:00+25:00",
          "2026-03-05T14:00.5",
          "2026-03-05T14:00:61",
          "2026-03-05 14:00 ../../etc/passwd",
          "2026-03-05 14:00 /etc/localtime",
          "2026-03-05 14:00 right/UTC",
          "next tomorrow",
          "tomorrow  at 9am"}) {
        EXPECT_FALSE(ParseSchedule(text, At(kNowText), "UTC")) << text;
    }
    EXPECT_FALSE(ParseSchedule("in 5 minutes" + std::string(100, 'x'), At(kNowText), "UTC"));
}

TEST(Schedule, TheDefaultZoneAppliesWithoutAZone) {
    EXPECT_EQ(Resolve("9am", "America/New_York"), "2026-03-02T14:00:00.000Z");
    EXPECT_EQ(Resolve("2026-03-05", "Asia/Tokyo"), "2026-03-04T15:00:00.000Z");
    EXPECT_EQ(Resolve("tuesday 8am", "Pacific/Auckland"), "2026-03-02T19:00:00.000Z");
}

TEST(Schedule, ASkippedLocalTimeMovesForwardAndADoubledOneIsTheFirst) {
    const Time spring = At("2026-03-01T00:00:00Z");
    EXPECT_EQ(Resolve("2026-03-08 02:30 ET", "UTC", spring), "2026-03-08T07:30:00.000Z");
    EXPECT_EQ(Resolve("2026-03-08 03:30 ET", "UTC", spring), "2026-03-08T07:30:00.000Z");
    EXPECT_EQ(Resolve("2026-03-29 02:30 Europe/Oslo", "UTC", spring), "2026-03-29T01:30:00.000Z");
    const Time autumn = At("2026-10-20T00:00:00Z");
    EXPECT_EQ(
        Resolve("2026-11-01 01:30 America/New_York", "UTC", autumn), "2026-11-01T05:30:00.000Z"
    );
    EXPECT_EQ(Resolve("2026-10-25 02:30 Europe/Oslo", "UTC", autumn), "2026-10-25T00:30:00.000Z");
    // South of the equator the year begins in summer.
    EXPECT_EQ(
        Resolve("2026-11-01 12:00 Australia/Sydney", "UTC", autumn), "2026-11-01T01:00:00.000Z"
    );
}

TEST(Schedule, SpansNeedAUnit) {
    EXPECT_EQ(ParseSpan("10m"), std::chrono::minutes(10));
    EXPECT_EQ(ParseSpan("2 hours"), std::chrono::hours(2));
    EXPECT_EQ(ParseSpan("1 day 6 hours"), std::chrono::hours(30));
    EXPECT_EQ(ParseSpan("in 0.5 s"), std::chrono::milliseconds(500));
    for (const char* text : {"", "10", "-1m", "m", "0m", "1 fortnight"}) {
        EXPECT_FALSE(ParseSpan(text)) << text;
    }
}

TEST(Zone, RuleTextsDecideBeyondTheTransitions) {
    const auto rule = ParseZoneRule("EST5EDT,M3.2.0,M11.1.0");
    ASSERT_TRUE(rule);
    EXPECT_EQ(rule->OffsetAt(At("2050-03-13T06:59:59Z").Seconds()), -5 * 3600);
    EXPECT_EQ(rule->OffsetAt(At("2050-03-13T07:00:00Z").Seconds()), -4 * 3600);
    EXPECT_EQ(rule->OffsetAt(At("2050-11-06T06:00:00Z").Seconds()), -5 * 3600);
    const auto dublin = ParseZoneRule("IST-1GMT0,M10.5.0,M3.5.0/1");
    ASSERT_TRUE(dublin);
    EXPECT_EQ(dublin->OffsetAt(At("2050-01-15T00:00:00Z").Seconds()), 0);
    EXPECT_EQ(dublin->OffsetAt(At("2050-07-15T00:00:00Z").Seconds()), 3600);
    const auto oslo = Zone::Find("Europe/Oslo");
    ASSERT_TRUE(oslo);
    EXPECT_EQ(oslo->OffsetAt(At("2095-07-15T00:00:00Z").Seconds()), 7200);
    EXPECT_TRUE(ParseZoneRule("<+0330>-3:30"));
    EXPECT_TRUE(ParseZoneRule("AAA1BBB,J60,300/26"));
    for (const char* text :
         {"", "A", "EST", "EST5EDT", "EST5EDT,M13.1.0,M1.1.0", "EST5EDT,M3.2.0",
          "EST5EDT,M3.2.0,M11.1.0x", "<>0", "EST200"}) {
        EXPECT_FALSE(ParseZoneRule(text)) << text;
    }
}

TEST(Zone, DamagedFilesAreRefused) {
    std::string file = "TZif2" + std::string(15, '\0') + std::string(24, '\0');
    EXPECT_FALSE(Zone::FromFile(file));
    file[36] = '\x7f';
    EXPECT_FALSE(Zone::FromFile(file));
    EXPECT_FALSE(Zone::FromFile(""));
    EXPECT_FALSE(Zone::FromFile("TZif"));
    EXPECT_FALSE(Zone::FromFile(std::string(2 << 20, 'x')));
}

}  // namespace
}  // namespace opensend::base
