#include "plugins/smtp/reply.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace opensend::smtp_plugin {
namespace {

using testing::ElementsAre;

ReplyState FeedAll(ReplyParser& parser, std::string_view text) { return parser.Feed(text); }

TEST(ReplyParser, OneLineIsAReply) {
    ReplyParser parser;
    ASSERT_EQ(FeedAll(parser, "250 2.1.0 Ok\r\n"), ReplyState::kComplete);
    EXPECT_EQ(parser.reply().code, 250);
    EXPECT_THAT(parser.reply().enhanced, ElementsAre(2, 1, 0));
    EXPECT_EQ(parser.reply().text, "2.1.0 Ok");
}

TEST(ReplyParser, ManyLinesAreOneReplyAtEverySplit) {
    const std::string text = "550-5.7.1 first\r\n550-second\r\n550 5.7.1 last\r\n220 next\r\n";
    for (size_t split = 0; split <= text.size(); ++split) {
        ReplyParser parser;
        std::string_view head = std::string_view(text).substr(0, split);
        std::string_view tail = std::string_view(text).substr(split);
        int replies = 0;
        for (std::string_view* part : {&head, &tail}) {
            while (parser.Feed(*part) == ReplyState::kComplete) {
                ++replies;
                if (replies == 1) {
                    EXPECT_EQ(parser.reply().code, 550);
                    EXPECT_EQ(parser.reply().text, "5.7.1 first\nsecond\n5.7.1 last");
                    EXPECT_THAT(parser.reply().enhanced, ElementsAre(5, 7, 1));
                } else {
                    EXPECT_EQ(parser.reply().code, 220);
                    EXPECT_THAT(parser.reply().enhanced, ElementsAre(0, 0, 0));
                }
            }
        }
        EXPECT_EQ(replies, 2) << split;
    }
}

TEST(ReplyParser, ShortFormsAreReplies) {
    for (const char* text : {"250\r\n", "250 \r\n", "250\n", "354 go\n", "599 x\r\n"}) {
        ReplyParser parser;
        EXPECT_EQ(FeedAll(parser, text), ReplyState::kComplete) << text;
    }
}

TEST(ReplyParser, GarbageIsMalformed) {
    for (const char* text :
         {"\r\n", "25\r\n", "abc\r\n", "150 x\r\n", "650 x\r\n", "250_x\r\n", "2500 x\r\n",
          " 250 x\r\n", "250-a\r\n251 b\r\n", "250-a\r\nb\r\n", "HTTP/1.1 400 Bad Request\r\n",
          "-250 x\r\n", "2\r50 x\r\n"}) {
        ReplyParser parser;
        EXPECT_EQ(FeedAll(parser, text), ReplyState::kMalformed) << text;
        EXPECT_FALSE(parser.problem().empty());
        EXPECT_EQ(FeedAll(parser, "250 ok\r\n"), ReplyState::kMalformed) << "stays broken";
    }
}

TEST(ReplyParser, ALineMayHaveTwoThousandOctets) {
    const std::string fits = "250 " + std::string(kMaxReplyLine - 6, 'x') + "\r\n";
    ReplyParser parser;
    EXPECT_EQ(FeedAll(parser, fits), ReplyState::kComplete);
    EXPECT_EQ(FeedAll(parser, "250 x" + fits.substr(4)), ReplyState::kMalformed);
    ReplyParser endless;
    for (int i = 0; i < 100; ++i) {
        if (FeedAll(endless, std::string(100, '2')) == ReplyState::kMalformed) return;
    }
    FAIL() << "an endless line was kept";
}

TEST(ReplyParser, AReplyMayHaveAHundredLines) {
    std::string text;
    for (size_t i = 1; i < kMaxReplyLines; ++i) text += "250-x\r\n";
    ReplyParser parser;
    EXPECT_EQ(FeedAll(parser, text + "250 x\r\n"), ReplyState::kComplete);
    EXPECT_EQ(FeedAll(parser, text + "250-x\r\n250 x\r\n"), ReplyState::kMalformed);
}

TEST(ReplyParser, EnhancedCodesMustFitTheCode) {
    EXPECT_THAT(ParseEnhanced(550, "5.1.1 x"), ElementsAre(5, 1, 1));
    EXPECT_THAT(ParseEnhanced(550, "5.7.509"), ElementsAre(5, 7, 509));
    for (const char* text :
         {"4.1.1 x", "5.1", "5.1.", "5..1", "5.1.1x", "5.1.1.1", "55.1.1", "", "x", "5.1234.1",
          "5.1.1234"}) {
        EXPECT_THAT(ParseEnhanced(550, text), ElementsAre(0, 0, 0)) << text;
    }
}

}  // namespace
}  // namespace opensend::smtp_plugin
