#include "kernel/dns/message.h"

#include <gtest/gtest.h>

#include "tests/support/dns_server.h"

namespace opensend::dns {
namespace {

std::string Message(const std::vector<std::string>& answers, const std::string& tail = "") {
    std::string out("\0\1\x81\x80\0\1\0\0\0\0\0\0", 12);
    out[7] = static_cast<char>(answers.size());
    out += test::DnsName("a.example") + std::string("\0\1\0\1", 4);
    for (const auto& answer : answers) out += answer;
    return out + tail;
}

TEST(DnsName, IsCheckedAndNormalised) {
    EXPECT_EQ(NormalName("_dmarc.ACME.dev."), "_dmarc.acme.dev");
    EXPECT_EQ(NormalName("localhost"), "localhost");
    const std::string label(63, 'a');
    EXPECT_TRUE(NormalName(label + ".dev"));
    for (const std::string& name :
         {std::string(), std::string("."), std::string("a..b"), std::string(".a"), "x" + label,
          std::string("a b.dev"), std::string("a\0b", 3), std::string("b\u00fc.dev"),
          std::string("a\\.dev"), label + '.' + label + '.' + label + '.' + label + ".dev"}) {
        EXPECT_FALSE(NormalName(name)) << name;
    }
}

TEST(DnsMessage, FollowsAliasesWithoutRegardToOrderAndCase) {
    const auto answer = ReadAnswer(
        Message(
            {test::DnsAddress("C.example", "192.0.2.1", 50),
             test::DnsCname("b.example", "c.EXAMPLE", 20),
             test::DnsCname("A.example", "b.example", 90),
             test::DnsAddress("other.example", "192.0.2.2")}
        ),
        "a.example", RecordType::kA, 0
    );
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->records.size(), 1U);
    EXPECT_EQ(answer->records[0].address.ToString(), "192.0.2.1");
    EXPECT_EQ(answer->ttl_s, 20U);
    EXPECT_EQ(answer->aliases, 2);
}

TEST(DnsMessage, ReadsCompressedNames) {
    // The owner points at the question's name, the MX host at its own label and "example".
    const std::string record =
        std::string("\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\x08\0\x0a\3mx1\xc0\x0e", 20);
    const auto answer = ReadAnswer(Message({record}), "a.example", RecordType::kMx, 0);
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->records.size(), 1U);
    EXPECT_EQ(answer->records[0].text, "mx1.example");
    EXPECT_EQ(answer->records[0].preference, 10);
}

TEST(DnsMessage, RefusesBrokenOnes) {
    const std::string loop("\xc0\x1b\0\1\0\1\0\0\0\0\0\4abcd", 16);
    const std::string far("\xff\xff\0\1\0\1\0\0\0\0\0\4abcd", 16);
    const std::string short_data("\xc0\x0c\0\1\0\1\0\0\0\0\0\3abc", 15);
    const std::string long_data(
        "\xc0\x0c\0\1\0\1\0\0\0\0\0\x09"
        "abcd",
        16
    );
    const std::string reserved(
        "\x41"
        "a\0\0\1\0\1\0\0\0\0\0\4abcd",
        17
    );
    for (const auto& record : {loop, far, short_data, long_data, reserved, std::string("\xc0")}) {
        EXPECT_FALSE(ReadAnswer(Message({record}), "a.example", RecordType::kA, 0).ok());
    }
    EXPECT_FALSE(ReadAnswer("", "a.example", RecordType::kA, 0).ok());
    const std::string txt("\xc0\x0c\0\x10\0\1\0\0\0\0\0\3\5ab", 15);
    EXPECT_FALSE(ReadAnswer(Message({txt}), "a.example", RecordType::kTxt, 0).ok());
    const std::string whole = Message({test::DnsAddress("a.example", "192.0.2.1")});
    for (size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(ReadAnswer(whole.substr(0, size), "a.example", RecordType::kA, 0).ok())
            << size;
    }
}

TEST(DnsMessage, ShowsOddOctetsInNamesEscaped) {
    const std::string target("\3a.b\2\x01\\\0", 8);
    const auto answer = ReadAnswer(
        Message({test::DnsRecord("a.example", 5, 1, target)}), "a.example", RecordType::kCname, 0
    );
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->records.size(), 1U);
    EXPECT_EQ(answer->records[0].text, "a\\046b.\\001\\092");
}

}  // namespace
}  // namespace opensend::dns
