#include "kernel/dns/resolver.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "tests/support/dns_server.h"

namespace opensend::dns {
namespace {

using base::Cat;
using std::chrono::milliseconds;
using test::DnsReply;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

constexpr int kA = 1;
constexpr int kCname = 5;
constexpr int kMx = 15;
constexpr int kTxt = 16;
constexpr int kAaaa = 28;

class MovedClock final : public base::Clock {
public:
    base::Time Now() const override { return {}; }
    base::MonoTime Mono() const override { return {now_ns_}; }
    void Add(std::chrono::seconds time) { now_ns_ += std::chrono::nanoseconds(time).count(); }

private:
    std::atomic<int64_t> now_ns_{1};
};

DnsReply With(std::vector<std::string> answers) {
    DnsReply reply;
    reply.answers = std::move(answers);
    return reply;
}
DnsReply Code(int rcode, std::vector<std::string> authority = {}) {
    DnsReply reply;
    reply.rcode = rcode;
    reply.authority = std::move(authority);
    return reply;
}
DnsReply Silence() {
    DnsReply reply;
    reply.silent = true;
    return reply;
}

class ResolverTest : public ::testing::Test {
protected:
    static Resolver::Options Servers(std::vector<std::string> servers) {
        Resolver::Options options;
        options.servers = std::move(servers);
        options.timeout = milliseconds(3000);
        options.hosts_file = "";
        return options;
    }
    static std::vector<std::string> Texts(const Answers& answers) {
        std::vector<std::string> out;
        if (!answers) return {std::string(ToText(answers.error()))};
        for (const auto& record : *answers) out.push_back(record.text);
        return out;
    }
    static std::vector<std::string> Addresses(const Answers& answers) {
        std::vector<std::string> out;
        if (!answers) return {std::string(ToText(answers.error()))};
        for (const auto& record : *answers) out.push_back(record.address.ToString());
        return out;
    }
    Answers Ask(std::string_view name, RecordType type) { return resolver_.Query(name, type); }

    MovedClock clock_;
    test::DnsServer server_;
    Resolver resolver_{Servers({server_.address()}), clock_};
};

TEST_F(ResolverTest, ReadsEveryType) {
    server_.Reply(
        "a.example", kA,
        With(
            {test::DnsAddress("a.example", "192.0.2.1"), test::DnsAddress("a.example", "192.0.2.2")}
        )
    );
    server_.Reply("a.example", kAaaa, With({test::DnsAddress("a.example", "2001:db8::1")}));
    server_.Reply(
        "a.example", kTxt,
        With({test::DnsTxt("a.example", {"v=spf1 ", "-all"}), test::DnsTxt("a.example", {""})})
    );
    server_.Reply(
        "a.example", kMx,
        With(
            {test::DnsMx("a.example", 20, "mx2.example"),
             test::DnsMx("a.example", 10, "mx1.example")}
        )
    );
    server_.Reply("null.example", kMx, With({test::DnsMx("null.example", 0, "")}));
    server_.Reply("w.example", kCname, With({test::DnsCname("w.example", "a.example")}));
    EXPECT_THAT(
        Addresses(Ask("A.example.", RecordType::kA)), ElementsAre("192.0.2.1", "192.0.2.2")
    );
    EXPECT_THAT(Addresses(Ask("a.example", RecordType::kAaaa)), ElementsAre("2001:db8::1"));
    EXPECT_THAT(Texts(Ask("a.example", RecordType::kTxt)), ElementsAre("v=spf1 -all", ""));
    EXPECT_THAT(
        Texts(Ask("a.example", RecordType::kMx)), ElementsAre("mx1.example", "mx2.example")
    );
    EXPECT_THAT(Texts(Ask("null.example", RecordType::kMx)), ElementsAre(""));
    EXPECT_THAT(Texts(Ask("w.example", RecordType::kCname)), ElementsAre("a.example"));
}

TEST_F(ResolverTest, NamesWhyThereIsNothing) {
    server_.Reply("empty.example", kA, Code(0));
    server_.Reply("broken.example", kA, Code(2));
    server_.Reply("refused.example", kA, Code(5));
    DnsReply garbage;
    garbage.raw_tail = "\x3f nonsense";
    server_.Reply("garbage.example", kA, garbage);
    EXPECT_THAT(Addresses(Ask("none.example", RecordType::kA)), ElementsAre("not_found"));
    EXPECT_THAT(Addresses(Ask("empty.example", RecordType::kA)), ElementsAre("no_data"));
    EXPECT_THAT(Addresses(Ask("broken.example", RecordType::kA)), ElementsAre("server_failure"));
    EXPECT_THAT(Addresses(Ask("refused.example", RecordType::kA)), ElementsAre("refused"));
    EXPECT_THAT(Addresses(Ask("garbage.example", RecordType::kA)), ElementsAre("bad_answer"));
    EXPECT_THAT(Addresses(Ask("b..example", RecordType::kA)), ElementsAre("bad_name"));
}

TEST_F(ResolverTest, ASilentServerEndsAtTheDeadline) {
    server_.Reply("silent.example", kA, Silence());
    const auto start = std::chrono::steady_clock::now();
    const auto answers = resolver_.Query("silent.example", RecordType::kA, milliseconds(200));
    EXPECT_THAT(Addresses(answers), ElementsAre("timeout"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(2000));
}

TEST_F(ResolverTest, AServerThatIsNotThereIsUnreachableOrSilent) {
    std::string address;
    { address = test::DnsServer().address(); }
    Resolver resolver(Servers({address}), clock_);
    const auto answers = resolver.Query("a.example", RecordType::kA);
    ASSERT_FALSE(answers.ok());
    EXPECT_FALSE(IsAbsence(answers.error()));
}

TEST_F(ResolverTest, AsksTheNextServerAfterAFailure) {
    test::DnsServer second;
    second.Reply("a.example", kA, With({test::DnsAddress("a.example", "192.0.2.7")}));
    second.Reply("b.example", kA, With({test::DnsAddress("b.example", "192.0.2.8")}));
    server_.Reply("a.example", kA, Code(2));
    server_.Reply("b.example", kA, Silence());
    Resolver resolver(Servers({server_.address(), second.address()}), clock_);
    EXPECT_THAT(Addresses(resolver.Query("a.example", RecordType::kA)), ElementsAre("192.0.2.7"));
    EXPECT_THAT(Addresses(resolver.Query("b.example", RecordType::kA)), ElementsAre("192.0.2.8"));
}

TEST_F(ResolverTest, TruncationGoesToTcp) {
    DnsReply reply;
    reply.truncate_udp = true;
    std::string text;
    for (int i = 0; i < 200; ++i) {
        reply.answers.push_back(test::DnsTxt("big.example", {std::string(250, 'x')}));
    }
    server_.Reply("big.example", kTxt, reply);
    const auto answers = Ask("big.example", RecordType::kTxt);
    ASSERT_TRUE(answers.ok());
    EXPECT_EQ(answers->size(), 200U);
    EXPECT_EQ(server_.tcp_questions(), 1);
}

TEST_F(ResolverTest, FollowsAliasesAcrossAnswers) {
    server_.Reply(
        "w.example", kA,
        With({test::DnsCname("w.example", "x.example"), test::DnsCname("x.example", "y.example")})
    );
    server_.Reply("y.example", kA, With({test::DnsAddress("y.example", "192.0.2.3")}));
    EXPECT_THAT(Addresses(Ask("w.example", RecordType::kA)), ElementsAre("192.0.2.3"));
    server_.Reply("v.example", kA, With({test::DnsCname("v.example", "gone.example")}));
    EXPECT_THAT(Addresses(Ask("v.example", RecordType::kA)), ElementsAre("not_found"));
}

TEST_F(ResolverTest, EndsAliasCirclesAndLongChains) {
    server_.Reply("self.example", kA, With({test::DnsCname("self.example", "self.example")}));
    server_.Reply("p.example", kA, With({test::DnsCname("p.example", "q.example")}));
    server_.Reply("q.example", kA, With({test::DnsCname("q.example", "p.example")}));
    EXPECT_THAT(Addresses(Ask("self.example", RecordType::kA)), ElementsAre("chain_too_long"));
    EXPECT_THAT(Addresses(Ask("p.example", RecordType::kA)), ElementsAre("chain_too_long"));
    const auto chain = [&](int length) {
        std::vector<std::string> records;
        for (int i = 0; i < length; ++i) {
            records.push_back(test::DnsCname(Cat("c", i, ".example"), Cat("c", i + 1, ".example")));
        }
        records.push_back(test::DnsAddress(Cat("c", length, ".example"), "192.0.2.4"));
        server_.Reply("c0.example", kA, With(records));
        resolver_.Forget("c0.example");
        return Addresses(Ask("c0.example", RecordType::kA));
    };
    EXPECT_THAT(chain(8), ElementsAre("192.0.2.4"));
    EXPECT_THAT(chain(9), ElementsAre("chain_too_long"));
}

TEST_F(ResolverTest, KeepsAnswersForTheirTtlAtMostFiveMinutes) {
    server_.Reply("a.example", kA, With({test::DnsAddress("a.example", "192.0.2.1", 60)}));
    server_.Reply("b.example", kA, With({test::DnsAddress("b.example", "192.0.2.1", 86400)}));
    server_.Reply("z.example", kA, With({test::DnsAddress("z.example", "192.0.2.1", 0)}));
    const auto asked = [&](std::string_view name) {
        const int before = server_.questions();
        EXPECT_TRUE(Ask(name, RecordType::kA).ok());
        return server_.questions() - before;
    };
    EXPECT_EQ(asked("a.example"), 1);
    EXPECT_EQ(asked("b.example"), 1);
    EXPECT_EQ(asked("z.example"), 1);
    EXPECT_EQ(asked("z.example"), 1);
    clock_.Add(std::chrono::seconds(59));
    EXPECT_EQ(asked("a.example"), 0);
    clock_.Add(std::chrono::seconds(2));
    EXPECT_EQ(asked("a.example"), 1);
    EXPECT_EQ(asked("b.example"), 0);
    clock_.Add(std::chrono::seconds(240));
    EXPECT_EQ(asked("b.example"), 1);
    resolver_.Forget("B.example");
    EXPECT_EQ(asked("b.example"), 1);
}

TEST_F(ResolverTest, KeepsAbsenceShortlyAndFailuresNever) {
    server_.Reply("no.example", kA, Code(3, {test::DnsSoa("example", 3600, 3600)}));
    server_.Reply("bare.example", kA, Code(3));
    server_.Reply("fail.example", kA, Code(2));
    const auto asked = [&](std::string_view name) {
        const int before = server_.questions();
        EXPECT_FALSE(Ask(name, RecordType::kA).ok());
        return server_.questions() - before;
    };
    EXPECT_EQ(asked("no.example"), 1);
    EXPECT_EQ(asked("no.example"), 0);
    clock_.Add(std::chrono::seconds(31));
    EXPECT_EQ(asked("no.example"), 1);
    EXPECT_EQ(asked("bare.example"), 1);
    EXPECT_EQ(asked("bare.example"), 1);
    EXPECT_EQ(asked("fail.example"), 3);
    EXPECT_EQ(asked("fail.example"), 3);
}

TEST_F(ResolverTest, ResolveAllJoinsBothFamilies) {
    server_.Reply("both.example", kA, With({test::DnsAddress("both.example", "192.0.2.1")}));
    server_.Reply("both.example", kAaaa, With({test::DnsAddress("both.example", "::ffff:7f00:1")}));
    server_.Reply("four.example", kA, With({test::DnsAddress("four.example", "192.0.2.1")}));
    server_.Reply("four.example", kAaaa, Code(0));
    server_.Reply("half.example", kA, With({test::DnsAddress("half.example", "192.0.2.1")}));
    server_.Reply("half.example", kAaaa, Code(2));
    const auto both = resolver_.ResolveAll("both.example");
    ASSERT_TRUE(both && both->size() == 2U);
    EXPECT_TRUE((*both)[1].is_v6);  // a mapped address stays what it is
    EXPECT_EQ(resolver_.ResolveAll("four.example")->size(), 1U);
    EXPECT_TRUE(resolver_.ResolveAll("none.example")->empty());
    EXPECT_FALSE(resolver_.ResolveAll("half.example").has_value());
    EXPECT_FALSE(resolver_.ResolveAll("b..example").has_value());
}

TEST_F(ResolverTest, LocalNamesNeedNoServer) {
    const std::string path = Cat("/tmp/opensend-hosts-", getpid());
    std::ofstream(path
    ) << "# c\n192.0.2.9 Printer printer.lan # x\n2001:db8::9 printer\nbad line\n";
    auto options = Servers({server_.address()});
    options.hosts_file = path;
    Resolver resolver(options, clock_);
    EXPECT_EQ(resolver.ResolveAll("localhost")->size(), 2U);
    EXPECT_THAT(Addresses(resolver.Query("printer", RecordType::kA)), ElementsAre("192.0.2.9"));
    EXPECT_THAT(
        Addresses(resolver.Query("printer.lan", RecordType::kAaaa)), ElementsAre("no_data")
    );
    EXPECT_EQ(resolver.ResolveAll("PRINTER")->size(), 2U);
    EXPECT_EQ(server_.questions(), 0);
    std::ofstream(path) << "192.0.2.10 printer moved\n";
    EXPECT_THAT(Addresses(resolver.Query("moved", RecordType::kA)), ElementsAre("192.0.2.10"));
    unlink(path.c_str());
    EXPECT_THAT(Addresses(resolver.Query("moved", RecordType::kA)), ElementsAre("not_found"));
    EXPECT_EQ(server_.questions(), 1);
}

TEST_F(ResolverTest, RunsManyLookupsAtOnce) {
    std::mutex mutex;
    std::condition_variable changed;
    int good = 0;
    for (int i = 0; i < 300; ++i) {
        const std::string name = Cat("n", i, ".example");
        server_.Reply(name, kA, With({test::DnsAddress(name, "192.0.2.1")}));
        resolver_.Lookup(name, RecordType::kA, [&](const Answers& answers) {
            const std::lock_guard lock(mutex);
            good += answers.ok() ? 1 : 0;
            changed.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return good == 300; }));
}

TEST_F(ResolverTest, TheDestructorCancelsAndTheLimitHolds) {
    server_.Reply("silent.example", kA, Silence());
    int canceled = 0;
    int busy = 0;
    {
        auto options = Servers({server_.address()});
        options.max_pending = 10;
        options.timeout = milliseconds(60'000);
        Resolver resolver(options, clock_);
        for (int i = 0; i < 12; ++i) {
            resolver.Lookup("silent.example", RecordType::kA, [&](const Answers& answers) {
                (answers.error() == LookupFailure::kBusy ? busy : canceled) += 1;
            });
        }
    }
    EXPECT_EQ(busy, 2);
    EXPECT_EQ(canceled, 10);
}

TEST_F(ResolverTest, RefusesServersThatAreNoAddresses) {
    for (const char* text :
         {"dns.example", "1.2.3.4:0", "1.2.3.4:70000", "1.2.3.4:", "[1.2.3.4]:53", "::1:53:x",
          "[::1]", ""}) {
        EXPECT_THROW(Resolver(Servers({text}), clock_), base::Error) << text;
    }
    for (const char* text : {"1.2.3.4", "1.2.3.4:5353", "::1", "[::1]:53"}) {
        EXPECT_NO_THROW(Resolver(Servers({text}), clock_)) << text;
    }
    EXPECT_NO_THROW(Resolver(Servers({}), clock_));
}

TEST(AnswerCache, ForgetsTheOldestWhenFull) {
    MovedClock clock;
    AnswerCache cache(clock, 3);
    for (const char* name : {"a", "b", "c", "d"}) {
        cache.Put(name, RecordType::kA, std::vector<Record>{}, 60);
    }
    EXPECT_EQ(cache.size(), 3U);
    EXPECT_FALSE(cache.Find("a", RecordType::kA));
    EXPECT_TRUE(cache.Find("d", RecordType::kA));
    EXPECT_FALSE(cache.Find("d", RecordType::kAaaa));
}

}  // namespace
}  // namespace opensend::dns
