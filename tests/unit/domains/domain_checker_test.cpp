#include "kernel/workers/domains/domain_checker.h"

#include <thread>

#include <gmock/gmock.h>

#include "kernel/base/text.h"
#include "kernel/crypto/random.h"
#include "kernel/db/migrator.h"
#include "kernel/db/transaction.h"
#include "tests/support/dns_server.h"
#include "tests/support/temp_db.h"

namespace opensend::domain_checks {
namespace {

using domains::Claim;
using domains::ClaimStore;
using domains::Domain;
using domains::DomainCheckStore;
using domains::DomainStore;
using std::chrono::hours;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class SetClock final : public base::Clock {
public:
    base::Time Now() const override { return now; }
    base::MonoTime Mono() const override { return base::SystemClock().Mono(); }
    base::Time now{1'700'000'000'000'000};
};

/// Two tenants in a fresh database, a name server, and a clock that the test moves.
class DomainCheckerTest : public testing::TestWithParam<db::Dialect> {
protected:
    DomainCheckerTest() : db_(GetParam()), pool_(db_.Open()) {
        db::Migrate(*pool_, clock_.now);
        for (const auto& tenant : {first_, second_}) {
            Run("INSERT INTO orgs (id, name, state, timezone, created_at) VALUES ($1, 'o', "
                "'active', 'UTC', 1)",
                {tenant});
        }
        dns::Resolver::Options options;
        options.servers = {server_.address()};
        options.timeout = std::chrono::milliseconds(400);
        resolver_ = std::make_unique<dns::Resolver>(options, clock_);
        checker_ = std::make_unique<DomainChecker>(
            DomainChecker::Deps{*pool_, *resolver_, ids_, random_, clock_, {}, [] {}},
            DomainChecker::Options{.lookup_timeout = std::chrono::milliseconds(400)}
        );
    }
    void Run(const char* sql, const db::Params& params) {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        tx.Execute({"", sql}, params);
        tx.Commit();
    }
    Domain Add(const model::TenantId& tenant, const std::string& name = "acme.dev") {
        Domain domain;
        domain.id = model::DomainId(ids_.Next());
        domain.name = name;
        domain.selector = "os" + domain.id.ToString().substr(24, 10);
        domain.dkim_public_rsa = "KEY" + domain.selector;
        domain.dkim_public_ed25519 = "ED" + domain.selector;
        domain.created_at = clock_.now;
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        DomainStore::Insert(tx, tenant, domain);
        tx.Commit();
        return domain;
    }
    void Publish(const Domain& domain) {
        for (const auto& record : domains::PlanRecords(domain, {})) {
            test::DnsReply reply;
            reply.answers = {
                test::DnsTxt(record.fqdn, {record.value.substr(0, 9), record.value.substr(9)})};
            server_.Reply(record.fqdn, 16, reply);
        }
    }
    Domain Check(const model::TenantId& tenant, const Domain& domain) {
        std::optional<domains::DomainLease> lease;
        {
            db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
            lease = DomainCheckStore::ClaimOne(
                tx, tenant, domain.id, ids_.Next().ToString(), clock_.now + hours(1)
            );
            tx.Commit();
        }
        checker_->CheckDomain(*lease);
        return Read(tenant, domain);
    }
    Domain Read(const model::TenantId& tenant, const Domain& domain) {
        db::Reader reader(*pool_, db::Scope::AllTenants());
        return *DomainStore::Find(reader, tenant, domain.id);
    }
    Claim Open(const Domain& placeholder) {
        Claim claim;
        claim.id = domains::DomainClaimId(ids_.Next());
        claim.domain = placeholder.id;
        claim.name = placeholder.name;
        claim.region = placeholder.region;
        claim.proof = base::Cat("opensend-domain-verification=", claim.id.ToString());
        claim.created_at = clock_.now;
        claim.expires_at = clock_.now + hours(7 * 24);
        claim.next_check_at = clock_.now;
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        ClaimStore::Insert(tx, second_, claim);
        tx.Commit();
        return claim;
    }
    void Prove(const std::string& name, const std::string& text) {
        test::DnsReply reply;
        reply.answers = {test::DnsTxt(name, {"v=spf1 -all"}), test::DnsTxt(name, {text})};
        server_.Reply(name, 16, reply);
    }
    /// Looks at the claim if it is due; its state afterwards.
    Claim Move(const Claim& claim) {
        std::vector<domains::ClaimLease> due;
        {
            db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
            due = ClaimStore::TakeDue(tx, "w", clock_.now, clock_.now + hours(1), 10);
            tx.Commit();
        }
        for (const auto& lease : due) checker_->CheckClaim(lease);
        db::Reader reader(*pool_, db::Scope::AllTenants());
        return *ClaimStore::FindLatest(reader, second_, claim.domain);
    }
    std::vector<std::string> Texts(const char* sql, const model::TenantId& tenant) {
        std::vector<std::string> out;
        db::Reader reader(*pool_, db::Scope::AllTenants());
        for (const auto& row : reader.Execute({"", sql}, {tenant})) out.push_back(row.Text(0));
        return out;
    }
    std::vector<std::string> Events(const model::TenantId& tenant) {
        return Texts("SELECT data FROM events WHERE org_id = $1 ORDER BY id", tenant);
    }
    std::vector<std::string> Audit(const model::TenantId& tenant) {
        return Texts("SELECT action FROM audit_log WHERE org_id = $1 ORDER BY sequence", tenant);
    }
    /// The first tenant holds the name, the second has a placeholder with an open claim.
    Claim Contest() {
        holder_ = Add(first_);
        Publish(holder_);
        holder_ = Check(first_, holder_);
        placeholder_ = Add(second_);
        const Claim claim = Open(placeholder_);
        Prove("acme.dev", claim.proof);
        return claim;
    }

    SetClock clock_;
    crypto::SystemRandom random_;
    base::UuidSource ids_{clock_, random_};
    model::TenantId first_{ids_.Next()}, second_{ids_.Next()};
    test::TempDb db_;
    std::unique_ptr<db::Pool> pool_;
    test::DnsServer server_;
    std::unique_ptr<dns::Resolver> resolver_;
    std::unique_ptr<DomainChecker> checker_;
    Domain holder_, placeholder_;
};

TEST_P(DomainCheckerTest, VerifiesByValueOverSplitStringsAndSaysSo) {
    Domain domain = Add(first_);
    EXPECT_EQ(Check(first_, domain).status, "pending");
    Publish(domain);
    domain = Check(first_, domain);
    EXPECT_EQ(domain.status, "verified");
    EXPECT_TRUE(domain.ed25519_verified);
    EXPECT_EQ(Events(first_).size(), 2u);
    EXPECT_THAT(Events(first_), Contains(HasSubstr(R"("previous_status":"pending")")));
    EXPECT_THAT(Audit(first_), Contains("domain.verified"));
}

TEST_P(DomainCheckerTest, TroubleOfServersIsNoAbsence) {
    Domain domain = Add(first_);
    Publish(domain);
    domain = Check(first_, domain);
    for (const auto& record : domains::PlanRecords(domain, {})) {
        test::DnsReply reply;
        reply.rcode = record.required ? 2 : 0;
        reply.silent = !record.required;
        server_.Reply(record.fqdn, 16, reply);
    }
    clock_.now = clock_.now + hours(200);
    domain = Check(first_, domain);
    EXPECT_EQ(domain.status, "verified");
    EXPECT_TRUE(domain.sending_verified);
    EXPECT_TRUE(domain.ed25519_verified);
    EXPECT_EQ(domain.record_states[0].status, "temporary_failure");
}

TEST_P(DomainCheckerTest, OneOfTwoThatCheckAtOnceHoldsTheName) {
    for (int round = 0; round < 8; ++round) {
        const std::string name = base::Cat("race", round, ".dev");
        const Domain a = Add(first_, name);
        const Domain b = Add(second_, name);
        Publish(a);
        Publish(b);
        std::thread other([&] { Check(second_, b); });
        Check(first_, a);
        other.join();
        const Domain one = Read(first_, a);
        const Domain two = Read(second_, b);
        EXPECT_NE(one.sending_verified, two.sending_verified);
        const Domain& loser = one.sending_verified ? two : one;
        EXPECT_EQ(loser.status, "failed");
        EXPECT_EQ(loser.status_reason, "held_by_another_organization");
    }
}

TEST_P(DomainCheckerTest, ALeaseThatIsGoneRecordsNothing) {
    const Domain domain = Add(first_);
    Publish(domain);
    domains::DomainLease lost{first_, domain, "somebody else"};
    checker_->CheckDomain(lost);
    EXPECT_EQ(Read(first_, domain).status, "not_started");
    EXPECT_TRUE(Events(first_).empty());
}

TEST_P(DomainCheckerTest, DueRowsAreTakenOnceUntilTheLeaseEnds) {
    const Domain domain = Add(first_);
    Run("UPDATE domains SET next_check_at = 1 WHERE id = $1", {domain.id});
    const auto take = [&] {
        db::Transaction tx(*pool_, db::Plane::kAccept, db::Scope::AllTenants());
        const auto due = DomainCheckStore::Claim(tx, "w", clock_.now, clock_.now + hours(1), 5);
        tx.Commit();
        return due.size();
    };
    EXPECT_EQ(take(), 1u);
    EXPECT_EQ(take(), 0u);
    clock_.now = clock_.now + hours(2);
    EXPECT_EQ(take(), 1u);
}

TEST_P(DomainCheckerTest, AClaimTakesTheNameOverAfterTheCoolOff) {
    Claim claim = Contest();
    claim = Move(claim);
    EXPECT_EQ(claim.status, "blocked");
    EXPECT_EQ(claim.blocked_reason, "grace_period");
    EXPECT_EQ(*claim.blocked_until - clock_.now, hours(72));
    EXPECT_EQ(Read(first_, holder_).status, "verified");
    EXPECT_THAT(Audit(first_), Contains("domain.claim_verified"));
    EXPECT_THAT(Events(first_), Contains(HasSubstr(R"("changed_fields":["claim"])")));
    clock_.now = clock_.now + hours(71);
    EXPECT_EQ(Move(claim).status, "blocked");
    clock_.now = clock_.now + hours(2);
    EXPECT_EQ(Move(claim).status, "completed");
    const Domain lost = Read(first_, holder_);
    EXPECT_EQ(lost.status, "failed");
    EXPECT_FALSE(lost.sending_verified);
    Domain won = Read(second_, placeholder_);
    EXPECT_EQ(won.status, "pending");
    Publish(won);
    won = Check(second_, won);
    EXPECT_EQ(won.status, "verified");
    EXPECT_THAT(Audit(second_), Contains("domain.claim_completed"));
    // Neither learns who the other is.
    for (const auto& text : Events(first_)) {
        EXPECT_THAT(text, Not(HasSubstr(second_.ToString())));
        EXPECT_THAT(text, Not(HasSubstr(placeholder_.id.ToString())));
    }
    for (const auto& text : Texts("SELECT entry FROM audit_log WHERE org_id = $1", first_)) {
        EXPECT_THAT(text, Not(HasSubstr(second_.ToString())));
        EXPECT_THAT(text, Not(HasSubstr(claim.id.ToString())));
    }
    for (const auto& text : Events(second_)) EXPECT_THAT(text, Not(HasSubstr(first_.ToString())));
}

TEST_P(DomainCheckerTest, AHolderWhoSendsKeepsTheNameForTwoWeeks) {
    Claim claim = Move(Contest());
    Run("INSERT INTO emails (id, org_id, status, last_event, message_id, from_text, from_domain, "
        "subject, addresses, tags, headers, stream, entrance, actor, recipient_count, created_at, "
        "sent_at, retry_count) VALUES ($1, $2, 'sent', 'sent', 'm', 'f', 'acme.dev', 's', '{}', "
        "'[]', '{}', 'transactional', 'api', 'a', 1, $3, $4, 0)",
        {ids_.Next().ToString(), first_, clock_.now, clock_.now});
    clock_.now = clock_.now + hours(73);
    claim = Move(claim);
    EXPECT_EQ(claim.blocked_reason, "recent_owner_activity");
    EXPECT_EQ(*claim.blocked_until - *claim.proven_at, hours(14 * 24));
    clock_.now = *claim.blocked_until;
    EXPECT_EQ(Move(claim).status, "completed");
}

TEST_P(DomainCheckerTest, AClaimEndsWithoutItsProof) {
    Claim claim = Move(Contest());
    test::DnsReply trouble;
    trouble.rcode = 2;
    server_.Reply("acme.dev", 16, trouble);
    clock_.now = clock_.now + hours(73);
    EXPECT_EQ(Move(claim).status, "blocked") << "a server that fails proves nothing";
    Prove("acme.dev", "something else");
    clock_.now = clock_.now + hours(1);
    claim = Move(claim);
    EXPECT_EQ(claim.status, "failed");
    EXPECT_EQ(claim.failure_reason, "proof_removed");
    EXPECT_EQ(Read(first_, holder_).status, "verified");
}

TEST_P(DomainCheckerTest, AClaimWithoutProofExpires) {
    Claim claim = Contest();
    Prove("acme.dev", "something else");
    for (int looks = 0; claim.status == "pending" && looks < 60; ++looks) {
        claim = Move(claim);
        if (claim.next_check_at) clock_.now = *claim.next_check_at;
    }
    EXPECT_EQ(claim.status, "expired");
    EXPECT_EQ(clock_.now, claim.expires_at);
    EXPECT_EQ(Read(first_, holder_).status, "verified");
}

INSTANTIATE_TEST_SUITE_P(
    Databases,
    DomainCheckerTest,
    testing::Values(db::Dialect::kSqlite, db::Dialect::kPostgres),
    [](const auto& one) { return test::DialectName(one.param); }
);

}  // namespace
}  // namespace opensend::domain_checks
