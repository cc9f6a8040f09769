#include "kernel/resources/domains/domain_status.h"

#include <gtest/gtest.h>

namespace opensend::domains {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

/// A domain with an exchanger for its return path, a DKIM key and an SPF record to look for.
class DomainStatus : public testing::Test {
protected:
    DomainStatus() {
        domain_.name = "acme.dev";
        domain_.selector = "os1";
        sources_.inbound_mx_host = "mx.example";
        sources_.spf = {"include:relay.example"};
    }
    /// One look in which every record has `rest`, but those of the type have `finding`.
    CheckEffect Look(
        Finding rest, const std::string& type = "", Finding finding = Finding::kRight
    ) {
        std::vector<Observation> seen;
        for (const DnsRecord& record : PlanRecords(domain_, sources_)) {
            seen.push_back(
                {record.type, record.fqdn, record.record + record.type == type ? finding : rest, {}}
            );
        }
        CheckFacts facts;
        facts.now = now_;
        facts.keep_forced = keep_forced_;
        facts.held_elsewhere = held_elsewhere_;
        return ApplyCheck(domain_, sources_, seen, facts);
    }
    std::string StatusOf(const std::string& kind) {
        for (const DnsRecord& record : PlanRecords(domain_, sources_)) {
            if (record.record + record.type == kind) return record.status;
        }
        return "none";
    }
    std::chrono::minutes Next() {
        return std::chrono::duration_cast<minutes>(*domain_.next_check_at - now_);
    }

    Domain domain_;
    RecordSources sources_;
    base::Time now_{1'700'000'000'000'000};
    bool keep_forced_ = false;
    bool held_elsewhere_ = false;
};

TEST_F(DomainStatus, ClimbsTheLadderAndGivesUpAfterThreeDays) {
    const int steps[] = {1, 4, 10, 45, 300, 360, 360};
    for (const int step : steps) {
        Look(Finding::kAbsent);
        EXPECT_EQ(domain_.status, "pending");
        EXPECT_EQ(StatusOf("DKIMTXT"), "pending");
        EXPECT_EQ(Next().count(), step);
        now_ = *domain_.next_check_at;
    }
    int looks = 0;
    while (domain_.status == "pending" && ++looks < 50) {
        Look(Finding::kAbsent);
        if (domain_.next_check_at) now_ = *domain_.next_check_at;
    }
    EXPECT_EQ(domain_.status, "failed");
    EXPECT_EQ(StatusOf("DKIMTXT"), "failed");
    EXPECT_FALSE(domain_.next_check_at);
    AskForCheck(domain_, now_);
    EXPECT_EQ(domain_.status, "pending");
    EXPECT_EQ(Look(Finding::kRight).audit_action, "domain.verified");
    EXPECT_EQ(domain_.status, "verified");
}

TEST_F(DomainStatus, NeedsEveryRequiredRecordAndNoOther) {
    Look(Finding::kRight, "SPFMX", Finding::kAbsent);
    EXPECT_EQ(domain_.status, "pending");
    Look(Finding::kRight, "SPFTXT", Finding::kDifferent);
    EXPECT_EQ(domain_.status, "pending");
    EXPECT_EQ(StatusOf("SPFTXT"), "failed");
    Look(Finding::kRight, "DMARCTXT", Finding::kAbsent);
    EXPECT_EQ(domain_.status, "verified");
    EXPECT_EQ(StatusOf("DMARCTXT"), "not_started");
    EXPECT_TRUE(domain_.sending_verified);
    EXPECT_TRUE(domain_.return_path_verified);
    EXPECT_EQ(Next(), hours(24));
}

TEST_F(DomainStatus, ASilentServerNeverRevokes) {
    Look(Finding::kRight);
    for (int day = 0; day < 30; ++day) {
        now_ = now_ + hours(24);
        const auto effect = Look(Finding::kUnknown);
        EXPECT_EQ(domain_.status, "verified");
        EXPECT_EQ(effect.audit_action, "");
        EXPECT_EQ(Next(), hours(1));
    }
    EXPECT_EQ(StatusOf("DKIMTXT"), "temporary_failure");
    EXPECT_TRUE(domain_.sending_verified);
    EXPECT_TRUE(domain_.ed25519_verified);
}

TEST_F(DomainStatus, AMissingRecordDegradesThenFailsAfterThreeDays) {
    Look(Finding::kRight);
    now_ = now_ + hours(24);
    EXPECT_EQ(Look(Finding::kRight, "DKIMTXT", Finding::kAbsent).audit_action, "domain.degraded");
    EXPECT_EQ(domain_.status, "verified");
    EXPECT_EQ(StatusOf("DKIMTXT"), "failed");
    EXPECT_EQ(Next(), minutes(15));
    EXPECT_FALSE(domain_.ed25519_verified);
    const base::Time began = now_;
    std::string last;
    for (int looks = 0; domain_.next_check_at && looks < 50; ++looks) {
        now_ = *domain_.next_check_at;
        last = Look(Finding::kRight, "DKIMTXT", Finding::kAbsent).audit_action;
    }
    EXPECT_EQ(now_ - began, hours(72));
    EXPECT_EQ(last, "domain.failed");
    EXPECT_EQ(domain_.status, "failed");
    EXPECT_FALSE(domain_.sending_verified);
}

TEST_F(DomainStatus, IsWellAgainAsSoonAsTheRecordIs) {
    Look(Finding::kRight);
    now_ = now_ + hours(24);
    Look(Finding::kDifferent);
    now_ = now_ + hours(71);
    Look(Finding::kRight);
    EXPECT_FALSE(domain_.sending_failing_since);
    now_ = now_ + hours(2);
    Look(Finding::kDifferent);
    EXPECT_TRUE(domain_.sending_verified);
}

TEST_F(DomainStatus, OneOfTwoGroupsIsAPart) {
    domain_.receiving = "enabled";
    Look(Finding::kRight, "ReceivingMX", Finding::kAbsent);
    EXPECT_EQ(domain_.status, "partially_verified");
    EXPECT_TRUE(domain_.sending_verified);
    Look(Finding::kRight);
    EXPECT_EQ(domain_.status, "verified");
    now_ = now_ + hours(24);
    Look(Finding::kRight, "ReceivingMX", Finding::kAbsent);
    now_ = now_ + hours(73);
    EXPECT_EQ(Look(Finding::kRight, "ReceivingMX", Finding::kAbsent).audit_action, "domain.failed");
    EXPECT_EQ(domain_.status, "partially_failed");
    EXPECT_TRUE(domain_.sending_verified);
    EXPECT_TRUE(domain_.next_check_at);
    domain_.receiving = "disabled";
    SettleAfterChange(domain_, sources_, now_);
    EXPECT_EQ(domain_.status, "verified");
}

TEST_F(DomainStatus, TheSecondTenantFailsAndLearnsOnlyThat) {
    held_elsewhere_ = true;
    Look(Finding::kAbsent);
    EXPECT_EQ(domain_.status, "pending");
    EXPECT_EQ(Look(Finding::kRight).audit_action, "domain.failed");
    EXPECT_EQ(domain_.status, "failed");
    EXPECT_EQ(domain_.status_reason, "held_by_another_organization");
    EXPECT_FALSE(domain_.is_held());
    held_elsewhere_ = false;
    AskForCheck(domain_, now_);
    EXPECT_FALSE(domain_.status_reason);
}

TEST_F(DomainStatus, AnOperatorsWordHoldsInEvaluationMode) {
    domain_.forced = domain_.sending_verified = true;
    domain_.status = "verified";
    keep_forced_ = true;
    for (int i = 0; i < 5; ++i, now_ = now_ + hours(24)) Look(Finding::kAbsent);
    EXPECT_EQ(domain_.status, "verified");
    keep_forced_ = false;
    for (int i = 0; i < 5; ++i, now_ = now_ + hours(24)) Look(Finding::kAbsent);
    EXPECT_EQ(domain_.status, "failed");
}

TEST(DnsPlan, ShowsWhatTheTransportsOfTheTenantNeed) {
    const auto special = *model::TenantId::Parse("019c1837-4000-7ea5-9f83-51295b6aeeb7");
    RecordSources common;
    common.inbound_mx_host = "mx.example";
    const RecordCatalog catalog(
        common,
        {
            {"cloud", "ses",    ""                     },
            {"relay", "smtp",   "include:relay.example"},
            {"own",   "direct", "ip4:192.0.2.1"        }
    },
        {{{"relay"}, {}}, {{"cloud"}, {special.ToString()}}}
    );
    Domain domain;
    domain.name = "acme.dev";
    domain.region = "eu-west-1";
    const auto usual = PlanRecords(domain, catalog.For(model::TenantId()));
    EXPECT_EQ(usual[0].value, "mx.example");
    EXPECT_EQ(usual[1].value, "v=spf1 include:relay.example ~all");
    EXPECT_EQ(usual.size(), 5u);
    const auto cloud = PlanRecords(domain, catalog.For(special));
    EXPECT_EQ(cloud[0].value, "feedback-smtp.eu-west-1.amazonses.com");
    EXPECT_EQ(cloud[1].value, "v=spf1 include:amazonses.com ~all");
    EXPECT_EQ(cloud.size(), 4u) << "the provider signs, so there is no second key";
}

}  // namespace
}  // namespace opensend::domains
