#include "kernel/egress/guard.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/egress/lists.h"
#include "kernel/egress/url.h"
#include "kernel/json/value.h"

namespace opensend::egress {
namespace {

using Addresses = std::optional<std::vector<base::IpAddress>>;

base::IpAddress Ip(std::string_view text) { return base::ParseIp(text, true).value(); }

ResolveAll Answers(std::vector<std::string> texts) {
    return [texts](const std::string&) {
        std::vector<base::IpAddress> out;
        for (const auto& text : texts) out.push_back(Ip(text));
        return Addresses(out);
    };
}

Rules RulesWith(std::vector<std::string> allow = {}) {
    Rules rules;
    for (const auto& text : allow) rules.allow.push_back(base::ParseCidr(text).value());
    return rules;
}

std::string ReasonOf(const Guard& guard, std::string_view url) {
    const auto checked = guard.Check(url);
    return checked ? "ok" : checked.error().reason;
}

std::string PublicReason(std::string_view url) {
    return ReasonOf(Guard(RulesWith(), Answers({"93.184.216.34"})), url);
}

const json::Document& Vector() {
    static const json::Document document = [] {
        std::ifstream file(OPENSEND_SOURCE_DIR "/tests/vectors/egress.json");
        std::stringstream text;
        text << file.rdbuf();
        return json::Document::Parse(text.str()).value();
    }();
    return document;
}

TEST(EgressVector, EveryAddressIsJudgedAsListed) {
    const Guard guard(RulesWith(), Answers({}));
    const auto addresses = Vector().root().Find("addresses");
    ASSERT_GE(addresses.size(), 111U);
    for (size_t i = 0; i < addresses.size(); ++i) {
        const auto address = addresses.At(i).Find("address").AsString();
        EXPECT_EQ(guard.IsRefused(Ip(address)), !addresses.At(i).Find("allowed").AsBool())
            << address;
    }
}

TEST(EgressVector, TheListsAreTheSame) {
    size_t listed = 0;
    for (const char* name : {"deny_ipv4", "deny_ipv6"}) {
        const auto list = Vector().root().Find(name);
        for (size_t i = 0; i < list.size(); ++i, ++listed) {
            const auto entry = list.At(i);
            const auto cidr = entry.IsObject() ? entry.Find("cidr") : entry.At(0);
            ASSERT_TRUE(cidr.IsString());
            const bool found = std::any_of(
                std::begin(kDeniedRanges), std::end(kDeniedRanges),
                [&](const DeniedRange& range) { return range.cidr == cidr.AsString(); }
            );
            EXPECT_TRUE(found) << cidr.AsString();
        }
    }
    EXPECT_EQ(listed, std::size(kDeniedRanges));
}

TEST(EgressVector, EveryListedUrlIsRefusedEvenWithHttpAllowed) {
    Rules rules = RulesWith();
    rules.https_only = false;
    const Guard guard(rules, Answers({"93.184.216.34"}));
    const auto urls = Vector().root().Find("urls_refused");
    ASSERT_GT(urls.size(), 30U);
    for (size_t i = 0; i < urls.size(); ++i) {
        const auto url = urls.At(i).Find("url").AsString();
        EXPECT_FALSE(guard.CheckUrl(url).ok()) << url;
        EXPECT_FALSE(guard.Check(url).ok()) << url;
    }
}

TEST(EgressVector, EveryListedUrlIsAccepted) {
    const Guard guard(RulesWith(), Answers({"93.184.216.34"}));
    const auto urls = Vector().root().Find("urls_accepted");
    ASSERT_GT(urls.size(), 0U);
    for (size_t i = 0; i < urls.size(); ++i) {
        const auto url = urls.At(i).AsString();
        EXPECT_TRUE(guard.CheckUrl(url).ok()) << url;
        EXPECT_EQ(ReasonOf(guard, url), "ok") << url;
    }
}

TEST(EgressVector, EveryResolverCaseHolds) {
    const auto cases = Vector().root().Find("dns_cases");
    ASSERT_GT(cases.size(), 0U);
    for (size_t i = 0; i < cases.size(); ++i) {
        const auto entry = cases.At(i);
        const auto texts = [&](std::string_view name) {
            std::vector<std::string> out;
            const auto list = entry.Find(name);
            for (size_t k = 0; k < list.size(); ++k) out.emplace_back(list.At(k).AsString());
            return out;
        };
        int lookups = 0;
        const Guard guard(RulesWith(), [&](const std::string& host) {
            ++lookups;
            return Answers(texts(lookups == 1 ? "answers" : "second_answers"))(host);
        });
        const auto checked = guard.Check("https://hooks.example.com/x");
        EXPECT_EQ(checked.ok(), entry.Find("allowed").AsBool()) << entry.Find("name").AsString();
        EXPECT_EQ(lookups, 1);
        if (!checked || !entry.Find("connects_to").IsString()) continue;
        ASSERT_EQ(checked->addresses.size(), 1U);
        EXPECT_EQ(checked->addresses[0].ToString(), entry.Find("connects_to").AsString());
    }
}

TEST(EgressReason, NamesWhatIsWrong) {
    const std::pair<const char*, const char*> kCases[] = {
        {"",                                    "invalid_url"       },
        {"example.com/x",                       "invalid_url"       },
        {"//example.com/x",                     "invalid_url"       },
        {"https:example.com",                   "invalid_url"       },
        {"https:/example.com",                  "invalid_url"       },
        {" https://example.com",                "invalid_url"       },
        {"https://example.com/\t",              "invalid_url"       },
        {"https://example.com\\x",              "invalid_url"       },
        {"https://\xff.com/",                   "invalid_url"       },
        {"https://[::1%25lo]/",                 "invalid_url"       },
        {"https://[::1/",                       "invalid_url"       },
        {"https://[1.2.3.4]/",                  "invalid_url"       },
        {"https://a_.b-.com/",                  "invalid_url"       },
        {"https://1.2.3.4.5/",                  "invalid_url"       },
        {"https://256.1.1.1/",                  "invalid_url"       },
        {"https://1.2.3.08/",                   "invalid_url"       },
        {"https://foo.0x4/",                    "invalid_url"       },
        {"https://4294967296/",                 "invalid_url"       },
        {"https://99999999999999999999999/",    "invalid_url"       },
        {"https://example.com:8a/",             "invalid_url"       },
        {"https://exa%20mple.com/",             "invalid_url"       },
        {"https://exa%00mple.com/",             "invalid_url"       },
        {"https://example.com%2f@x/",           "credentials_in_url"},
        {"https://example.com%40evil.com/",     "invalid_url"       },
        {"ws://example.com/",                   "blocked_protocol"  },
        {"http://example.com/",                 "blocked_protocol"  },
        {"https://u:p@example.com/",            "credentials_in_url"},
        {"https://@example.com/",               "credentials_in_url"},
        {"https:///x",                          "empty_host"        },
        {"https://./",                          "empty_host"        },
        {"https://?x",                          "empty_host"        },
        {"https://:443/",                       "empty_host"        },
        {"https://metadata/",                   "blocked_hostname"  },
        {"https://intranet/",                   "blocked_hostname"  },
        {"https://a.CLUSTER.local./",           "blocked_hostname"  },
        {"https://x.onion/",                    "blocked_hostname"  },
        {"https://%6c%6f%63alhost/",            "blocked_hostname"  },
        {"https://foo.local\u3002/",            "blocked_hostname"  },
        {"https://example.com:22/",             "blocked_port"      },
        {"https://example.com:0/",              "blocked_port"      },
        {"https://example.com:99999999999999/", "blocked_port"      },
        {"https://10.0.0.1/",                   "private_ip_literal"},
        {"https://%31%32%37.0.0.1/",            "private_ip_literal"},
        {"https://0x/",                         "private_ip_literal"},
        {"https://0300.0250.1/",                "private_ip_literal"},
        {"https://127.0.0.1./",                 "private_ip_literal"},
        {"https://[::ffff:8.8.8.8]/",           "private_ip_literal"},
        {"https://[64:ff9b::8.8.8.8]/",         "private_ip_literal"},
        {"https://[fe80::1]/",                  "private_ip_literal"},
    };
    for (const auto& [url, reason] : kCases) EXPECT_EQ(PublicReason(url), reason) << url;
}

TEST(EgressReason, TellsAFailedLookupFromAnEmptyOne) {
    const Guard failed(RulesWith(), [](const std::string&) { return std::nullopt; });
    EXPECT_EQ(ReasonOf(failed, "https://example.com/"), "dns_resolution_failed");
    EXPECT_EQ(ReasonOf(Guard(RulesWith(), Answers({})), "https://example.com/"), "no_dns_records");
    const Guard inside(RulesWith(), Answers({"8.8.8.8", "192.168.1.9"}));
    const auto checked = inside.Check("https://example.com/");
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().reason, "private_ip_resolved");
    EXPECT_EQ(checked.error().detail, "192.168.1.9");
}

TEST(EgressUrlText, IsNormalised) {
    const std::pair<const char*, const char*> kCases[] = {
        {"HTTPS://EXAMPLE.com",                 "https://example.com/"                  },
        {"https://example.com.:443/a#frag",     "https://example.com/a"                 },
        {"https://example.com:08443?x=1",       "https://example.com:8443/?x=1"         },
        {"https://example.com:/a/./b/../c",     "https://example.com/a/c"               },
        {"https://example.com/%2E%2e/../x/..",  "https://example.com/"                  },
        {"https://example.com/a//b/",           "https://example.com/a//b/"             },
        {"https://b\u00fccher.example/\u00fc",  "https://xn--bcher-kva.example/%C3%BC"  },
        {"https://stra\u00dfe.example/",        "https://xn--strae-oqa.example/"        },
        {"https://\uff45xample.com/",           "https://example.com/"                  },
        {"https://0x08080808/",                 "https://8.8.8.8/"                      },
        {"https://[2606:2800:0220::1]:8443/",   "https://[2606:2800:220::1]:8443/"      },
        {"https://example.com/a?b=<c>'d\"#e?f", "https://example.com/a?b=%3Cc%3E%27d%22"},
    };
    for (const auto& [url, expected] : kCases) {
        const auto parsed = ParseUrl(url);
        ASSERT_TRUE(parsed.ok()) << url << ' ' << parsed.error().detail;
        EXPECT_EQ(parsed->url, expected) << url;
    }
}

TEST(EgressUrlText, HoldsItsParts) {
    const auto url = ParseUrl("https://[2606:2800:220::1]:8443/a?b").value();
    EXPECT_EQ(url.scheme, "https");
    EXPECT_EQ(url.host, "2606:2800:220::1");
    EXPECT_EQ(url.port, 8443);
    EXPECT_EQ(url.target, "/a?b");
    EXPECT_EQ(url.literal, Ip("2606:2800:220::1"));
}

TEST(EgressUrlText, LengthCountsCharactersUpToTheLimit) {
    const std::string start = "https://example.com/";
    EXPECT_EQ(PublicReason(start + std::string(2048 - start.size(), 'a')), "ok");
    EXPECT_EQ(PublicReason(start + std::string(2049 - start.size(), 'a')), "invalid_url");
    // Encoded it is longer than the limit and can still be read.
    std::string wide = start;
    while (wide.size() < start.size() + 4000) wide += "\u00fc";
    const auto checked = Guard(RulesWith(), Answers({"8.8.8.8"})).Check(wide);
    ASSERT_TRUE(checked.ok());
    EXPECT_GT(checked->url.url.size(), 12'000U);
    EXPECT_TRUE(ParseUrl(checked->url.url).ok());
    EXPECT_FALSE(ParseUrl(start + std::string(kMaxUrlBytes, 'a')).ok());
    const std::string long_host = std::string(60, 'a') + '.';
    EXPECT_FALSE(
        ParseUrl("https://" + long_host + long_host + long_host + long_host + long_host + "com")
            .ok()
    );
}

TEST(EgressAllowList, OpensSchemeNameAndPortForListedAddressesOnly) {
    const Guard guard(RulesWith({"10.1.0.0/16", "fd12::/16"}), Answers({"10.1.2.3", "fd12::5"}));
    EXPECT_EQ(ReasonOf(guard, "http://hooks.internal:9000/"), "ok");
    EXPECT_EQ(ReasonOf(guard, "http://printer/"), "ok");
    EXPECT_EQ(ReasonOf(guard, "http://10.1.2.3:9000/"), "ok");
    EXPECT_EQ(ReasonOf(guard, "http://10.2.2.3:9000/"), "blocked_protocol");
    EXPECT_EQ(ReasonOf(guard, "https://10.2.2.3/"), "private_ip_literal");
    EXPECT_EQ(ReasonOf(guard, "https://[::ffff:10.1.2.3]/"), "private_ip_literal");

    const Guard mixed(RulesWith({"10.1.0.0/16"}), Answers({"10.1.2.3", "8.8.8.8"}));
    EXPECT_EQ(ReasonOf(mixed, "https://example.com/"), "ok");
    EXPECT_EQ(ReasonOf(mixed, "http://example.com/"), "blocked_protocol");
    EXPECT_EQ(ReasonOf(mixed, "https://hooks.internal/"), "blocked_hostname");
    EXPECT_EQ(ReasonOf(mixed, "https://example.com:9000/"), "blocked_port");
}

TEST(EgressAllowList, DoesNotExcuseANameThatCannotBeResolved) {
    const Guard failed(RulesWith({"10.1.0.0/16"}), [](const std::string&) { return std::nullopt; });
    EXPECT_EQ(ReasonOf(failed, "https://hooks.internal/"), "blocked_hostname");
    EXPECT_EQ(ReasonOf(failed, "https://example.com/"), "dns_resolution_failed");
    EXPECT_EQ(
        ReasonOf(Guard(RulesWith({"10.1.0.0/16"}), Answers({})), "http://example.com/"),
        "blocked_protocol"
    );
}

TEST(EgressAllowList, KeepsMailPortsAndOwnPortsShut) {
    Rules rules = RulesWith({"10.1.0.0/16"});
    rules.own_ports = {8443, 7000};
    const Guard guard(rules, Answers({"10.1.2.3"}));
    for (const char* url :
         {"https://a.example:25/", "https://a.example:465/", "https://a.example:587/",
          "https://a.example:8443/", "https://10.1.2.3:7000/"}) {
        EXPECT_EQ(ReasonOf(guard, url), "blocked_port") << url;
    }
    EXPECT_EQ(ReasonOf(Guard(rules, Answers({"8.8.8.8"})), "https://a.example:8443/"), "ok");
}

TEST(EgressAllowList, CannotOpenMetadataMulticastOrEmbeddedForms) {
    Rules rules = RulesWith({"0.0.0.0/0", "::/0"});
    const Guard guard(rules, Answers({}));
    for (const char* text :
         {"169.254.169.254", "fe80::1",      "168.63.129.16",   "fd00:ec2::254", "100.100.100.200",
          "192.0.0.192",     "0.0.0.0",      "0.1.2.3",         "224.0.0.1",     "ff02::1",
          "255.255.255.255", "::",           "::ffff:10.0.0.1", "::10.0.0.1",    "64:ff9b::a00:1",
          "64:ff9b:1::1",    "2002:a00:1::", "2001:0:1::1",     "127.0.0.1",     "::1"}) {
        EXPECT_TRUE(guard.IsRefused(Ip(text))) << text;
    }
    for (const char* text : {"10.0.0.1", "fd00:ec2::255", "100.64.0.1", "192.168.0.1"}) {
        EXPECT_FALSE(guard.IsRefused(Ip(text))) << text;
    }
}

TEST(EgressAllowList, OpensLoopbackInEvaluationModeOnly) {
    Rules rules = RulesWith({"127.0.0.0/8", "::1/128"});
    EXPECT_TRUE(Guard(rules, Answers({})).IsRefused(Ip("127.0.0.1")));
    rules.allow_loopback = true;
    rules.https_only = false;
    const Guard guard(rules, Answers({"127.0.0.1", "::1"}));
    EXPECT_FALSE(guard.IsRefused(Ip("127.0.0.1")));
    EXPECT_FALSE(guard.IsRefused(Ip("::1")));
    EXPECT_TRUE(guard.IsRefused(Ip("::ffff:127.0.0.1")));
    EXPECT_EQ(ReasonOf(guard, "http://localhost:3000/hook"), "ok");
    rules.allow.clear();
    EXPECT_TRUE(Guard(rules, Answers({})).IsRefused(Ip("127.0.0.1")));
}

}  // namespace
}  // namespace opensend::egress
