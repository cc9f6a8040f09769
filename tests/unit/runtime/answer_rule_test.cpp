#include "kernel/runtime/answer_rule.h"

#include <gmock/gmock.h>

namespace opensend::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(AnswerRule, AllConditionsAreRead) {
    const auto rule = ParseAnswerRule(
        "  throttle code=421-454  enhanced=4.7.* stage=rcpt kind=smtp text=Too Many | slow=down "
    );
    ASSERT_TRUE(rule.ok()) << rule.error();
    EXPECT_EQ(rule->result, "throttle");
    EXPECT_EQ(rule->code_from, 421);
    EXPECT_EQ(rule->code_to, 454);
    EXPECT_THAT(rule->enhanced, ElementsAre(4, 7, -1));
    EXPECT_EQ(rule->stage, "rcpt");
    EXPECT_EQ(rule->kind, "smtp");
    EXPECT_THAT(rule->words, ElementsAre("too many", "slow=down"));
}

TEST(AnswerRule, OneCodeIsARangeOfOne) {
    const auto rule = ParseAnswerRule("temp code=450");
    ASSERT_TRUE(rule.ok());
    EXPECT_EQ(rule->code_from, 450);
    EXPECT_EQ(rule->code_to, 450);
    EXPECT_THAT(rule->enhanced, ElementsAre(-1, -1, -1));
    EXPECT_THAT(rule->words, IsEmpty());
}

TEST(AnswerRule, WhatIsWrongIsSaid) {
    const std::pair<const char*, const char*> cases[] = {
        {"",                       "begins with \"\""                },
        {"bounce code=550",        "begins with \"bounce\""          },
        {"ok code=250",            "begins with \"ok\""              },
        {"ok_unknown code=250",    "not one of throttle, temp"       },
        {"temp",                   "no condition"                    },
        {"temp 450",               "\"450\" is not a condition"      },
        {"temp code",              "\"code\" is not a condition"     },
        {"temp code=",             "code= is neither"                },
        {"temp code=45",           "code=45 is neither"              },
        {"temp code=1000",         "code=1000 is neither"            },
        {"temp code=500-400",      "code=500-400 is neither"         },
        {"temp code=4xx",          "code=4xx is neither"             },
        {"temp code=450 code=451", "names code= twice"               },
        {"temp enhanced=4.7",      "enhanced=4.7 is not"             },
        {"temp enhanced=2.0.0",    "enhanced=2.0.0 is not"           },
        {"temp enhanced=4.7.x",    "enhanced=4.7.x is not"           },
        {"temp enhanced=4.7.1000", "is not a code"                   },
        {"temp stage=body",        "stage=body is not one of connect"},
        {"temp kind=",             "names no kind"                   },
        {"temp host=x",            "\"host=\" is not one of code"    },
        {"temp text=",             "empty alternative"               },
        {"temp text=a||b",         "empty alternative"               },
    };
    for (const auto& [text, expected] : cases) {
        const auto rule = ParseAnswerRule(text);
        ASSERT_FALSE(rule.ok()) << text;
        EXPECT_THAT(rule.error(), HasSubstr(expected)) << text;
    }
    const auto too_long = ParseAnswerRule("temp text=" + std::string(1000, 'x'));
    ASSERT_FALSE(too_long.ok());
    EXPECT_THAT(too_long.error(), HasSubstr("longer than 1000"));
}

}  // namespace
}  // namespace opensend::runtime
