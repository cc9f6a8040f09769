#include "kernel/model/email_status.h"

#include <set>
#include <span>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace opensend::model {
namespace {

using enum EmailStatus;

constexpr EmailStatus kEveryStatus[] = {kScheduled, kQueued,     kHeld,      kSending, kUnknown,
                                        kDeferred,  kSent,       kDelivered, kBounced, kComplained,
                                        kFailed,    kSuppressed, kCanceled,  kExpired};

/// One row of the state table: several states may lead to several others.
struct TransitionRow {
    const char* why;
    std::vector<EmailStatus> from, to;
};

const std::vector<TransitionRow>& Transitions() {
    static const std::vector<TransitionRow> kRows = {
        {"a scheduled message becomes due",         {kScheduled},                            {kQueued}                                 },
        {"a schedule is changed",                   {kScheduled},                            {kScheduled}                              },
        {"a message is canceled",                   {kScheduled, kQueued, kHeld, kDeferred}, {kCanceled}                               },
        {"a rule holds a message",                  {kQueued, kDeferred},                    {kHeld}                                   },
        {"a held message is released",              {kHeld},                                 {kQueued}                                 },
        {"a worker claims",                         {kQueued, kDeferred},                    {kSending}                                },
        {"a list or a refusal ends it",             {kSending},                              {kSuppressed, kFailed}                    },
        {"a relay or the recipient's host took it", {kSending},                              {kSent, kDelivered}                       },
        {"the other side asks to wait",             {kSending},                              {kDeferred}                               },
        {"the other side refuses for ever",         {kSending},                              {kBounced}                                },
        {"the outcome is not known",                {kSending},                              {kUnknown}                                },
        {"nothing was tried",                       {kSending},                              {kQueued}                                 },
        {"evidence arrives",                        {kUnknown},                              {kSent, kDelivered, kBounced, kComplained}},
        {"the wait for evidence ends",              {kUnknown},                              {kDeferred, kHeld, kSent}                 },
        {"a message is too old",                    {kQueued, kDeferred, kHeld},             {kExpired}                                },
        {"a delivery notice arrives",               {kSent, kDeferred},                      {kDelivered}                              },
        {"a bounce notice arrives",                 {kSent, kDeferred, kDelivered},          {kBounced}                                },
        {"a delay notice arrives",                  {kSent},                                 {kSent}                                   },
        {"somebody complains",                      {kSent, kDelivered, kBounced},           {kComplained}                             },
    };
    return kRows;
}

TEST(EmailStatus, EveryRowOfTheTableIsLegal) {
    for (const TransitionRow& row : Transitions()) {
        for (const EmailStatus from : row.from) {
            for (const EmailStatus to : row.to) {
                EXPECT_TRUE(MayMove(from, to))
                    << row.why << ": " << ToText(from) << " to " << ToText(to);
            }
        }
    }
}

TEST(EmailStatus, OnlyTheKernelsOwnMovesAreLegalBesidesTheTable) {
    std::set<std::pair<EmailStatus, EmailStatus>> legal;
    for (const TransitionRow& row : Transitions()) {
        for (const EmailStatus from : row.from) {
            for (const EmailStatus to : row.to) legal.emplace(from, to);
        }
    }
    // A poisoned row is held from its claim, and an unknown one is claimed for its next attempt.
    legal.emplace(kSending, kHeld);
    legal.emplace(kUnknown, kSending);
    for (const EmailStatus from : kEveryStatus) {
        for (const EmailStatus to : kEveryStatus) {
            EXPECT_EQ(MayMove(from, to), legal.count({from, to}) > 0)
                << ToText(from) << " to " << ToText(to);
        }
    }
}

TEST(EmailStatus, NoLateNoticeMovesBackwards) {
    EXPECT_FALSE(MayMove(kDelivered, kSent));
    EXPECT_FALSE(MayMove(kBounced, kDelivered));
    EXPECT_FALSE(MayMove(kComplained, kDelivered));
    EXPECT_FALSE(MayMove(kComplained, kBounced));
    EXPECT_FALSE(MayMove(kSent, kQueued));
    EXPECT_FALSE(MayMove(kSending, kCanceled));
}

TEST(EmailStatus, EndsAreNotLeftByTheKernel) {
    for (const EmailStatus from : {kFailed, kSuppressed, kCanceled, kExpired, kComplained}) {
        EXPECT_TRUE(IsTerminal(from));
        for (const EmailStatus to : kEveryStatus) EXPECT_FALSE(MayMove(from, to)) << ToText(from);
    }
    for (const EmailStatus open : {kScheduled, kQueued, kHeld, kSending, kUnknown, kDeferred}) {
        EXPECT_FALSE(IsTerminal(open)) << ToText(open);
    }
}

TEST(EmailStatus, NamesAreReadBack) {
    for (const EmailStatus status : kEveryStatus) {
        EXPECT_EQ(ParseEmailStatus(ToText(status)), status);
    }
    EXPECT_EQ(ParseEmailStatus("Sent"), std::nullopt);
    EXPECT_EQ(ParseEmailStatus(""), std::nullopt);
    EXPECT_EQ(ParseEmailStatus("accepted"), std::nullopt);
}

TEST(EmailStatus, AMessageShowsItsMostUrgentRecipient) {
    constexpr EmailStatus kOrder[] = {kSending,    kUnknown,    kDeferred, kQueued,  kHeld,
                                      kComplained, kBounced,    kFailed,   kExpired, kDelivered,
                                      kSent,       kSuppressed, kCanceled};
    for (size_t high = 0; high < std::size(kOrder); ++high) {
        for (size_t low = high; low < std::size(kOrder); ++low) {
            const EmailStatus one_way[] = {kOrder[low], kOrder[high], kOrder[low]};
            const EmailStatus other_way[] = {kOrder[high], kOrder[low]};
            EXPECT_EQ(DeriveStatus(one_way), kOrder[high]);
            EXPECT_EQ(DeriveStatus(other_way), kOrder[high]);
        }
    }
}

TEST(EmailStatus, AMessageThatIsOnlyScheduledIsScheduled) {
    const EmailStatus all[] = {kScheduled, kScheduled};
    EXPECT_EQ(DeriveStatus(all), kScheduled);
}

TEST(EmailStatus, LastEventSpeaksTheApisLanguage) {
    EXPECT_EQ(LastEventOf(kHeld), "queued");
    EXPECT_EQ(LastEventOf(kSending), "queued");
    EXPECT_EQ(LastEventOf(kUnknown), "delivery_delayed");
    EXPECT_EQ(LastEventOf(kDeferred), "delivery_delayed");
    EXPECT_EQ(LastEventOf(kExpired), "failed");
    EXPECT_EQ(LastEventOf(kDelivered), "delivered");
}

TEST(EmailStatusDeathTest, AMessageWithoutRecipientsIsABug) {
    EXPECT_DEATH(DeriveStatus(std::span<const EmailStatus>()), "a message has recipients");
}

}  // namespace
}  // namespace opensend::model
