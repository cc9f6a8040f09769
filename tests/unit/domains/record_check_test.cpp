#include "kernel/workers/domains/record_check.h"

#include <gtest/gtest.h>

namespace opensend::domain_checks {
namespace {

struct TextCase {
    const char* about;
    const char* record;
    std::string wanted;
    std::vector<std::string> texts;
    Finding finding;
};

TEST(RecordCheck, ReadsTextsAsReceiversDo) {
    using enum Finding;
    const std::string rsa = "v=DKIM1; k=rsa; p=MIIBaBc/+=";
    const std::string ed = "v=DKIM1; k=ed25519; p=AAAA";
    const std::string spf = "v=spf1 include:relay.example ip4:192.0.2.0/24 ~all";
    const TextCase cases[] = {
        {"the value itself",                  "DKIM",  rsa,                 {rsa},                                   kRight    },
        {"blanks around the separators",
         "DKIM",                                       rsa,
         {" v = DKIM1 ;k=rsa;  p= MIIBaBc/+= ; "},
         kRight                                                                                                                },
        {"blanks inside the key",             "DKIM",  rsa,                 {"v=DKIM1; k=rsa; p=MIIB aBc\t/+="},     kRight    },
        {"no version, no kind",               "DKIM",  rsa,                 {"p=MIIBaBc/+="},                        kRight    },
        {"more tags",                         "DKIM",  rsa,                 {"v=DKIM1; t=s; n=ours; p=MIIBaBc/+=;"}, kRight    },
        {"another text beside it",            "DKIM",  rsa,                 {"verification=1", rsa, ""},             kRight    },
        {"an older key beside it",            "DKIM",  rsa,                 {"v=DKIM1; p=OLD", rsa},                 kRight    },
        {"other case in the key",             "DKIM",  rsa,                 {"v=DKIM1; k=rsa; p=MIIBABC/+="},        kDifferent},
        {"half of the key",                   "DKIM",  rsa,                 {"v=DKIM1; k=rsa; p=MIIB"},              kDifferent},
        {"a withdrawn key",                   "DKIM",  rsa,                 {"v=DKIM1; p="},                         kDifferent},
        {"another version",                   "DKIM",  rsa,                 {"v=DKIM2; p=MIIBaBc/+="},               kDifferent},
        {"another kind",                      "DKIM",  ed,                  {"v=DKIM1; p=AAAA"},                     kDifferent},
        {"a tag twice",                       "DKIM",  rsa,                 {"p=MIIBaBc/+=; p=x"},                   kAbsent   },
        {"only other texts",                  "DKIM",  rsa,                 {"hello", "a=b"},                        kAbsent   },
        {"no text",                           "DKIM",  rsa,                 {},                                      kAbsent   },
        {"the value itself",                  "SPF",   spf,                 {spf},                                   kRight    },
        {"others may send too, in any order",
         "SPF",                                        spf,
         {"V=SPF1 a mx ip4:192.0.2.0/24 +Include:Relay.Example -all"},
         kRight                                                                                                                },
        {"a term behind all",
         "SPF",                                        spf,
         {"v=spf1 include:relay.example ~all ip4:192.0.2.0/24"},
         kDifferent                                                                                                            },
        {"a term that refuses us",
         "SPF",                                        spf,
         {"v=spf1 -include:relay.example ip4:192.0.2.0/24 ~all"},
         kDifferent                                                                                                            },
        {"a longer name",
         "SPF",                                        spf,
         {"v=spf1 include:relay.example.net ip4:192.0.2.0/24 ~all"},
         kDifferent                                                                                                            },
        {"elsewhere",                         "SPF",   spf,                 {"v=spf1 redirect=relay.example"},       kDifferent},
        {"two records",                       "SPF",   spf,                 {spf, "v=spf1 -all"},                    kDifferent},
        {"another version",
         "SPF",                                        spf,
         {"v=spf10 include:relay.example ip4:192.0.2.0/24"},
         kAbsent                                                                                                               },
        {"any policy",
         "DMARC",                                      "v=DMARC1; p=none;",
         {"v=DMARC1;p=reject; rua=mailto:a@b.c"},
         kRight                                                                                                                },
        {"no policy",                         "DMARC", "v=DMARC1; p=none;", {"v=DMARC1; rua=mailto:a@b.c"},          kDifferent},
        {"two policies",
         "DMARC",                                      "v=DMARC1; p=none;",
         {"v=DMARC1; p=none", "v=DMARC1; p=none"},
         kDifferent                                                                                                            },
        {"a proof among others",              "Claim", "opensend=1",        {"v=spf1 -all", " opensend=1 "},         kRight    },
        {"a longer proof",                    "Claim", "opensend=1",        {"opensend=12"},                         kAbsent   },
    };
    for (const TextCase& one : cases) {
        EXPECT_EQ(JudgeTexts(one.record, one.wanted, one.texts), one.finding)
            << one.record << ": " << one.about;
    }
}

TEST(RecordCheck, OnlyAKnownAbsenceIsOne) {
    domains::DnsRecord wanted;
    wanted.record = "SPF";
    wanted.type = "MX";
    wanted.value = "mx.example";
    const auto judge = [&](dns::Answers answers) { return Judge(wanted, answers).finding; };
    using dns::LookupFailure;
    EXPECT_EQ(judge(base::Failure{LookupFailure::kNotFound}), Finding::kAbsent);
    EXPECT_EQ(judge(base::Failure{LookupFailure::kNoData}), Finding::kAbsent);
    EXPECT_EQ(judge(base::Failure{LookupFailure::kChainTooLong}), Finding::kDifferent);
    for (const auto failure :
         {LookupFailure::kServFail, LookupFailure::kRefused, LookupFailure::kTimeout,
          LookupFailure::kUnreachable, LookupFailure::kBadAnswer, LookupFailure::kBusy}) {
        EXPECT_EQ(judge(base::Failure{failure}), Finding::kUnknown) << ToText(failure);
    }
    dns::Record record;
    record.text = "MX.Example";
    record.preference = 20;
    EXPECT_EQ(judge(std::vector{record}), Finding::kRight);
    record.text = "other.example";
    EXPECT_EQ(judge(std::vector{record}), Finding::kDifferent);
}

TEST(RecordCheck, KeepsALittleOfWhatWasSeen) {
    domains::DnsRecord wanted;
    wanted.record = "DKIM";
    wanted.type = "TXT";
    wanted.value = "p=x";
    std::vector<dns::Record> many(9);
    for (auto& record : many) record.text = std::string(2000, 'a');
    many[0].text = "\xff\xfe";
    const auto seen = Judge(wanted, many).seen;
    ASSERT_EQ(seen.size(), 5u);
    EXPECT_EQ(seen[0], "");
    EXPECT_EQ(seen[1].size(), 512u);
}

}  // namespace
}  // namespace opensend::domain_checks
