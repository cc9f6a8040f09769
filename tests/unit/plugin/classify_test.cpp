#include "kernel/plugin/kinds/classify.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

namespace opensend::plugin {
namespace {

using model::ResultClass;

struct Case {
    int32_t outcome;
    uint16_t stage, code, enhanced[3];
    const char* text;
    ResultClass expected;
};

osp_rcpt_result Make(const Case& row) {
    osp_rcpt_result result{};
    result.size = sizeof result;
    result.outcome = row.outcome;
    result.stage = row.stage;
    result.smtp_code = row.code;
    std::copy(std::begin(row.enhanced), std::end(row.enhanced), result.enhanced);
    result.diag = {row.text, strlen(row.text)};
    return result;
}

TEST(Classify, TheTableDecidesWhatThePluginLeavesOpen) {
    // clang-format off
    const Case cases[] = {
        {OSP_OUT_ACCEPTED,      OSP_STAGE_END,     250, {2, 0, 0},   "ok",                       ResultClass::kOk},
        {OSP_OUT_INDETERMINATE, OSP_STAGE_END,     0,   {0, 0, 0},   "",                         ResultClass::kOkUnknown},
        {OSP_OUT_THROTTLED,     OSP_STAGE_RCPT,    421, {4, 7, 28},  "",                         ResultClass::kThrottle},
        {OSP_OUT_NOT_TRIED,     OSP_STAGE_NONE,    0,   {0, 0, 0},   "",                         ResultClass::kNotTried},
        {99,                    OSP_STAGE_NONE,    0,   {0, 0, 0},   "",                         ResultClass::kProtocol},
        {OSP_OUT_DEFERRED,      OSP_STAGE_CONNECT, 0,   {0, 0, 0},   "connection refused",       ResultClass::kTemp},
        {OSP_OUT_DEFERRED,      OSP_STAGE_RCPT,    451, {4, 3, 0},   "later",                    ResultClass::kTemp},
        {OSP_OUT_DEFERRED,      OSP_STAGE_RCPT,    421, {4, 7, 28},  "unusual rate",             ResultClass::kThrottle},
        {OSP_OUT_DEFERRED,      OSP_STAGE_RCPT,    450, {4, 2, 1},   "receiving at a high rate", ResultClass::kThrottle},
        {OSP_OUT_DEFERRED,      OSP_STAGE_RCPT,    450, {4, 2, 1},   "mailbox busy",             ResultClass::kTemp},
        {OSP_OUT_DEFERRED,      OSP_STAGE_MAIL,    454, {4, 7, 0},   "Throttling failure",       ResultClass::kThrottle},
        {OSP_OUT_DEFERRED,      OSP_STAGE_AUTH,    535, {5, 7, 8},   "bad credentials",          ResultClass::kAuthConfig},
        {OSP_OUT_DEFERRED,      OSP_STAGE_AUTH,    0,   {0, 0, 0},   "",                         ResultClass::kAuthConfig},
        {OSP_OUT_DEFERRED,      OSP_STAGE_TLS,     0,   {0, 0, 0},   "TLS required but absent",  ResultClass::kAuthConfig},
        {OSP_OUT_DEFERRED,      OSP_STAGE_TLS,     0,   {0, 0, 0},   "connection reset",         ResultClass::kTemp},
        {OSP_OUT_DEFERRED,      OSP_STAGE_API,     403, {0, 0, 0},   "forbidden",                ResultClass::kAuthConfig},
        {OSP_OUT_DEFERRED,      OSP_STAGE_API,     429, {0, 0, 0},   "",                         ResultClass::kThrottle},
        {OSP_OUT_DEFERRED,      OSP_STAGE_API,     503, {0, 0, 0},   "",                         ResultClass::kTemp},
        {OSP_OUT_DEFERRED,      OSP_STAGE_API,     302, {0, 0, 0},   "",                         ResultClass::kProtocol},
        {OSP_OUT_DEFERRED,      OSP_STAGE_EHLO,    502, {0, 0, 0},   "what",                     ResultClass::kProtocol},
        {OSP_OUT_DEFERRED,      OSP_STAGE_DATA,    354, {0, 0, 0},   "",                         ResultClass::kProtocol},
        {OSP_OUT_REJECTED,      OSP_STAGE_RCPT,    550, {5, 1, 1},   "no such user",             ResultClass::kPermRecipient},
        {OSP_OUT_REJECTED,      OSP_STAGE_RCPT,    550, {5, 1, 10},  "null mx",                  ResultClass::kPermRecipient},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     550, {5, 2, 1},   "disabled",                 ResultClass::kPermRecipient},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     551, {0, 0, 0},   "not local",                ResultClass::kPermRecipient},
        {OSP_OUT_REJECTED,      OSP_STAGE_NONE,    556, {0, 0, 0},   "",                         ResultClass::kPermRecipient},
        {OSP_OUT_REJECTED,      OSP_STAGE_MAIL,    552, {5, 3, 4},   "too big",                  ResultClass::kPermContent},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     554, {5, 6, 0},   "",                         ResultClass::kPermContent},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     550, {5, 7, 1},   "looks like SPAM",          ResultClass::kPermContent},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     554, {5, 7, 0},   "Virus found",              ResultClass::kPermContent},
        {OSP_OUT_REJECTED,      OSP_STAGE_RCPT,    550, {5, 7, 1},   "blocked using a DNSBL",    ResultClass::kPermReputation},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     550, {5, 7, 26},  "unauthenticated",          ResultClass::kPermReputation},
        {OSP_OUT_REJECTED,      OSP_STAGE_API,     403, {0, 0, 0},   "AccountSuspendedException", ResultClass::kPermReputation},
        {OSP_OUT_REJECTED,      OSP_STAGE_API,     400, {0, 0, 0},   "MessageRejected: address is not verified", ResultClass::kAuthConfig},
        {OSP_OUT_REJECTED,      OSP_STAGE_API,     400, {0, 0, 0},   "MessageRejected",          ResultClass::kPermContent},
        {OSP_OUT_REJECTED,      OSP_STAGE_MAIL,    530, {5, 7, 0},   "authenticate first",       ResultClass::kAuthConfig},
        {OSP_OUT_REJECTED,      OSP_STAGE_RCPT,    550, {0, 0, 0},   "no",                       ResultClass::kPermRecipient},
        {OSP_OUT_REJECTED,      OSP_STAGE_END,     554, {0, 0, 0},   "no",                       ResultClass::kPermContent},
        {OSP_OUT_REJECTED,      OSP_STAGE_RCPT,    450, {0, 0, 0},   "no",                       ResultClass::kTemp},
        {OSP_OUT_REJECTED,      OSP_STAGE_MAIL,    250, {0, 0, 0},   "no",                       ResultClass::kProtocol},
    };
    // clang-format on
    for (const Case& row : cases)
        EXPECT_EQ(Classify(Make(row)), row.expected)
            << row.outcome << " stage " << row.stage << " " << row.code << " " << row.text;
}

TEST(Classify, ThePluginsOwnClassStands) {
    auto result = Make({
        OSP_OUT_REJECTED, OSP_STAGE_RCPT, 550, {5, 1, 1},
           "", ResultClass::kOk
    });
    result.rclass = OSP_CLASS_PERM_REPUTATION;
    EXPECT_EQ(Classify(result), ResultClass::kPermReputation);
    result.rclass = 77;
    EXPECT_EQ(Classify(result), ResultClass::kPermRecipient);
}

TEST(Classify, StatusesHaveTheirClass) {
    EXPECT_EQ(ClassOfStatus(OSP_E_BUSY), ResultClass::kNotTried);
    EXPECT_EQ(ClassOfStatus(OSP_E_CANCELLED), ResultClass::kNotTried);
    EXPECT_EQ(ClassOfStatus(OSP_E_UNAVAILABLE), ResultClass::kTemp);
    EXPECT_EQ(ClassOfStatus(OSP_E_TIMEOUT), ResultClass::kTemp);
    EXPECT_EQ(ClassOfStatus(OSP_E_CONFIG), ResultClass::kAuthConfig);
    EXPECT_EQ(ClassOfStatus(OSP_E_DENIED), ResultClass::kAuthConfig);
    EXPECT_EQ(ClassOfStatus(OSP_E_PANIC), ResultClass::kProtocol);
    EXPECT_EQ(ClassOfStatus(-12345), ResultClass::kProtocol);
}

TEST(Classify, OutcomesCarryCodesAndCleanText) {
    auto result = Make({
        OSP_OUT_REJECTED, OSP_STAGE_RCPT, 553, {5, 6, 7},
           "a\r\nb\x01\xff", ResultClass::kOk
    });
    const auto outcome = ToOutcome(result, true);
    EXPECT_TRUE(outcome.smtputf8_unsupported);
    EXPECT_FALSE(outcome.final_host);
    EXPECT_EQ(outcome.enhanced_code, "5.6.7");
    EXPECT_EQ(outcome.diagnostic, "a\\x0d\\x0ab\\x01\\xff");
    EXPECT_TRUE(ToOutcome(
                    Make({
                        OSP_OUT_ACCEPTED, 0, 250, {2, 0, 0},
                           "", ResultClass::kOk
    }),
                    true
    )
                    .final_host);
    EXPECT_LE(Printable(std::string(5000, '\x02'), 1000).size(), 1000u);
    EXPECT_EQ(Printable("a\nb", 10, true), "a\nb");
}

AnswerBoard::Rules RulesOf(std::initializer_list<const char*> texts) {
    AnswerBoard::Rules rules;
    for (const char* text : texts) rules["a"].push_back(*runtime::ParseAnswerRule(text));
    return rules;
}

TEST(Answers, TheFirstRuleThatFitsReplacesTheTable) {
    AnswerBoard board;
    const auto said = [&](const Case& row, const char* transport = "a") {
        return ToOutcome(Make(row), false, &board, transport).result;
    };
    const Case busy{
        OSP_OUT_DEFERRED, OSP_STAGE_RCPT, 451, {4,    7, 500},
           "Server Busy", {   }
    };
    const Case refused{
        OSP_OUT_REJECTED, OSP_STAGE_DATA, 554, {5,  7, 1},
           "no", { }
    };
    EXPECT_EQ(said(busy), ResultClass::kTemp) << "without rules the table decides";
    board.Set(RulesOf(
        {"throttle code=451 text=too many|server busy", "temp code=400-499",
         "perm_reputation enhanced=5.7.* stage=data"}
    ));
    EXPECT_EQ(said(busy), ResultClass::kThrottle);
    EXPECT_EQ(said(busy, "b"), ResultClass::kTemp) << "the rules of another transport";
    EXPECT_EQ(said(refused), ResultClass::kPermReputation);
    Case elsewhere = refused;
    elsewhere.stage = OSP_STAGE_RCPT;
    EXPECT_EQ(said(elsewhere), ResultClass::kPermRecipient) << "every condition has to fit";
    board.Set({});
    EXPECT_EQ(said(busy), ResultClass::kTemp);
}

TEST(Answers, WhatWasOrMayHaveBeenTakenIsNotForRules) {
    AnswerBoard board;
    board.Set(RulesOf({"temp code=100-999", "temp text=x"}));
    for (const int32_t outcome : {OSP_OUT_ACCEPTED, OSP_OUT_INDETERMINATE, OSP_OUT_NOT_TRIED}) {
        const auto before = Classify(Make({
            outcome, OSP_STAGE_END, 250, {2,  0, 0},
               "x", { }
        }));
        const auto after = ToOutcome(
            Make({
                outcome, OSP_STAGE_END, 250, {2,  0, 0},
                   "x", { }
        }),
            false, &board, "a"
        );
        EXPECT_EQ(after.result, before);
    }
}

TEST(Answers, TheOperatorKnowsBetterThanThePlugin) {
    AnswerBoard board;
    board.Set(RulesOf({"perm_content code=550"}));
    osp_rcpt_result result = Make({
        OSP_OUT_REJECTED, OSP_STAGE_RCPT, 550, {5,  1, 1},
           "no", { }
    });
    result.rclass = OSP_CLASS_PERM_RECIPIENT;
    EXPECT_EQ(ToOutcome(result, false, &board, "a").result, ResultClass::kPermContent);
}

}  // namespace
}  // namespace opensend::plugin
