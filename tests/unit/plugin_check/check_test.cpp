#include <gmock/gmock.h>

#include "kernel/json/value.h"
#include "kernel/plugin/check/bench.h"
#include "tests/unit/plugin_check/checks.h"

namespace opensend::plugin_check {
namespace {

using testing::HasSubstr;
using testing::Not;

class OursTest : public testing::TestWithParam<const char*> {};

TEST_P(OursTest, PassesEveryCheck) {
    const Report report = RunChecks(Built(GetParam()), {});
    EXPECT_TRUE(report.ok()) << ReportText(report, false);
    EXPECT_GE(report.Count(Verdict::kPass), 100u);
    EXPECT_GE(report.Count(Verdict::kNotApplicable), 10u) << "kinds that it does not have";
}

INSTANTIATE_TEST_SUITE_P(
    Checks,
    OursTest,
    testing::Values(
        "plugins/capture.so",
        "plugins/smtp.so",
        "plugins/api_key.so",
        "plugins/memory_limit.so",
        "plugins_bad/null_transport.so",
        "plugins_bad/echo_transport.so",
        "plugins_bad/defect.so"
    ),
    [](const auto& tested) { return std::filesystem::path(tested.param).stem().string(); }
);

TEST(CheckTest, EveryIdIsGivenOnceWithASentenceAndAHint) {
    std::set<std::string> ids;
    for (const CatalogueEntry& entry : Catalogue()) {
        EXPECT_TRUE(ids.insert(entry.id).second) << entry.id;
        EXPECT_GT(entry.sentence.size(), 10u) << entry.id;
        EXPECT_GT(entry.hint.size(), 5u) << entry.id;
        EXPECT_THAT(entry.sentence, Not(HasSubstr("|"))) << "it stands in a table";
    }
    EXPECT_GE(ids.size(), 60u);
}

TEST(CheckTest, OnlyAndSkipTakeTheBeginningOfIds) {
    Options options;
    options.only = {"load.", "elf.r"};
    options.skip = {"load.s"};
    const Report report = RunChecks(Built("plugins_bad/null_transport.so"), options);
    std::set<std::string> ids;
    for (const Line& line : report.lines) ids.insert(line.id);
    EXPECT_EQ(ids.count("load.umask"), 1u);
    EXPECT_EQ(ids.count("elf.relro"), 1u);
    EXPECT_EQ(ids.count("load.signals"), 0u);
    EXPECT_EQ(ids.count("elf.now"), 0u);
    EXPECT_EQ(ids.count("life.create"), 0u) << "it runs, but nobody asked for its line";
}

TEST(CheckTest, WhatIsForOtherKindsDoesNotCountAsPassed) {
    Options options;
    options.only = {"auth.", "rl.", "in."};
    const Report report = RunChecks(Built("plugins_bad/null_transport.so"), options);
    EXPECT_EQ(report.Count(Verdict::kPass), 0u);
    EXPECT_EQ(report.Count(Verdict::kNotApplicable), report.lines.size());
    EXPECT_GT(report.lines.size(), 30u);
}

TEST(CheckTest, ACrashIsALineThatFailsAndTheOthersGoOn) {
    const Defect defect("transport.big");
    Options options;
    options.only = {"transport.big", "transport.codes"};
    const Report report = RunChecks(Built("plugins_bad/defect.so"), options);
    ASSERT_EQ(report.lines.size(), 2u);
    EXPECT_EQ(FailedIds(report), std::set<std::string>{"transport.big"});
    EXPECT_THAT(ReportText(report, false), HasSubstr("died of signal 6"));
}

TEST(CheckTest, ACheckThatDoesNotEndIsALineThatFails) {
    const Defect defect("transport.past-deadline");
    Options options;
    options.only = {"transport.past-deadline"};
    options.limit_ms = 300;
    const Report report = RunChecks(Built("plugins_bad/defect.so"), options);
    EXPECT_THAT(ReportText(report, false), HasSubstr("did not end within 300 ms"));
    EXPECT_FALSE(report.ok());
}

TEST(CheckTest, AConfigurationOfTheCallerIsUsed) {
    Options options;
    options.only = {"life.create"};
    options.kind = "defect";
    options.config = R"({"no":"such key"})";
    const Report report = RunChecks(Built("plugins_bad/defect.so"), options);
    EXPECT_EQ(FailedIds(report), std::set<std::string>{"life.create"});
    EXPECT_THAT(ReportText(report, false), HasSubstr("unknown key no"));
}

TEST(CheckTest, AFileThatIsNotThereIsAProblemAndNoFailure) {
    const Report report = RunChecks("/nowhere/x.so", {});
    EXPECT_FALSE(report.problem.empty());
    EXPECT_TRUE(report.lines.empty());
    EXPECT_FALSE(report.ok());
    EXPECT_THAT(ReportJunit(report), HasSubstr("<error"));
}

TEST(CheckTest, ReportsAreJsonAndJunit) {
    const Defect defect("desc.id");
    Options options;
    options.only = {"desc.", "rl.peek"};
    options.kind = "defect";
    const Report report = RunChecks(Built("plugins_bad/defect.so"), options);
    const auto document = json::Document::Parse(ReportJson(report));
    ASSERT_TRUE(document.ok());
    EXPECT_EQ(document->root().Find("failed").AsInt(), 1);
    EXPECT_FALSE(document->root().Find("ok").AsBool());
    const std::string junit = ReportJunit(report);
    EXPECT_THAT(junit, HasSubstr("failures=\"1\""));
    EXPECT_THAT(junit, HasSubstr("name=\"desc.id\""));
    EXPECT_THAT(junit, HasSubstr("<failure message=\"The descriptor's id"));
}

TEST(BenchTest, EveryKindHasItsCallsMeasured) {
    BenchOptions options;
    options.limit_ms = 50;
    const BenchReport report = Bench(Built("plugins_bad/defect.so"), options);
    std::set<std::string> calls;
    for (const CallCost& cost : report.costs) {
        EXPECT_EQ(cost.problem, "") << cost.kind;
        EXPECT_GT(cost.samples, 0u);
        EXPECT_GT(cost.median_ns, 0);
        EXPECT_LE(cost.median_ns, cost.p99_ns);
        calls.insert(cost.call + std::to_string(cost.batch));
    }
    const std::set<std::string> expected = {"send1",         "send4",    "submit1", "submit4",
                                            "authenticate1", "acquire1", "handle1"};
    EXPECT_EQ(calls, expected);
    EXPECT_TRUE(json::Document::Parse(BenchJson(report)).ok());
}

TEST(BenchTest, AKindThatDoesNotStartSaysSo) {
    BenchOptions options;
    options.config = "{}";
    const BenchReport report = Bench(Built("plugins/capture.so"), options);
    ASSERT_EQ(report.costs.size(), 1u);
    EXPECT_THAT(report.costs[0].problem, HasSubstr("path names a folder"));
}

}  // namespace
}  // namespace opensend::plugin_check
