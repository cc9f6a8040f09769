#include "kernel/mime/builder.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/base/time.h"
#include "kernel/mime/wire_format.h"

namespace opensend::mime {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Message Simple() {
    Message message;
    message.message_id = "<id-1@acme.dev>";
    message.date = base::ParseIso("2026-03-02T09:15:30Z").value();
    message.from = ParseMailbox("Acme <hello@acme.dev>").value();
    message.to = {ParseMailbox("Ada <ada@example.com>").value()};
    message.subject = "Your receipt";
    message.text = "Hello\nAda";
    return message;
}

std::string Built(const Message& message) {
    return Build(message, {"oid", "s:o:-:t", "id-1/0", false});
}

std::string BodyOf(const std::string& built) { return built.substr(built.find("\r\n\r\n") + 4); }

TEST(Builder, TextOnlyMailIsASinglePartInTheFixedOrder) {
    auto message = Simple();
    message.cc = {ParseMailbox("c@example.com").value()};
    message.reply_to = {ParseMailbox("r@acme.dev").value()};
    message.headers = {
        {"X-One",            "1"               },
        {"List-Unsubscribe", "<https://x.io/u>"},
        {"X-Two",            ""                }
    };
    EXPECT_EQ(
        Built(message),
        "Message-ID: <id-1@acme.dev>\r\n"
        "Date: Mon, 02 Mar 2026 09:15:30 +0000\r\n"
        "From: Acme <hello@acme.dev>\r\n"
        "To: Ada <ada@example.com>\r\n"
        "Cc: c@example.com\r\n"
        "Reply-To: r@acme.dev\r\n"
        "Subject: Your receipt\r\n"
        "X-One: 1\r\n"
        "X-Two:\r\n"
        "List-Unsubscribe: <https://x.io/u>\r\n"
        "Feedback-ID: s:o:-:t\r\n"
        "X-OpenSend-ID: oid\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Hello\r\nAda\r\n"
    );
}

TEST(Builder, LevelsWithOneChildAreLeftOut) {
    auto message = Simple();
    message.html = "<p>Hi</p>";
    EXPECT_THAT(Built(message), HasSubstr("Content-Type: multipart/alternative;"));
    message.text = "";
    EXPECT_THAT(Built(message), HasSubstr("\r\nContent-Type: text/html; charset=utf-8\r\n"));
    EXPECT_THAT(Built(message), Not(HasSubstr("multipart")));
    message.text.reset();
    EXPECT_THAT(Built(message), HasSubstr("\r\n\r\nHi\r\n\r\n--=_os_"));
    message.attachments = {
        {"a.png", "image/png",  "logo", "png"},
        {"b.txt", "text/plain", "",     "txt"}
    };
    const std::string all = Built(message);
    const auto mixed = all.find("multipart/mixed");
    const auto related = all.find("multipart/related");
    const auto alternative = all.find("Content-Type: multipart/alternative");
    EXPECT_LT(mixed, related);
    EXPECT_LT(related, alternative);
    EXPECT_NE(alternative, std::string::npos);
    EXPECT_THAT(
        all, HasSubstr("Content-ID: <logo>\r\nContent-Disposition: inline; filename=a.png\r\n")
    );
    EXPECT_THAT(all, HasSubstr("Content-Disposition: attachment; filename=b.txt\r\n"));
}

TEST(Builder, EqualInputGivesEqualBytesAndBoundariesDependOnTheCopy) {
    auto message = Simple();
    message.html = "<p>Hi</p>";
    const Copy first{"a", "", "m/0", false};
    const Copy second{"a", "", "m/1", false};
    EXPECT_EQ(Build(message, first), Build(message, first));
    EXPECT_NE(Build(message, first), Build(message, second));
}

TEST(Builder, ABoundaryNeverOccursInAPart) {
    auto message = Simple();
    message.html = "<p>Hi</p>";
    const std::string built = Built(message);
    const std::string boundary = built.substr(built.find("=_os_"), 29);
    message.text = "--" + boundary + "\nx";
    const std::string again = Built(message);
    const auto at = again.find("boundary=\"") + 10;
    EXPECT_NE(again.substr(at, 29), boundary);
    EXPECT_THAT(again, HasSubstr("--" + boundary + "\r\nx"));
}

TEST(Builder, CallerHeadersThatBelongToTheServerAreDropped) {
    auto message = Simple();
    message.headers = {
        {"X-SES-Configuration-Set", "no"     },
        {"feedback-id",             "no"     },
        {"X-Entity-ID",             "no"     },
        {"Content-Type",            "no"     },
        {"BCC",                     "no"     },
        {"X-OpenSend-Other",        "no"     },
        {"Message-ID",              "<no@no>"},
        {"X-Idempotency-Key",       "no"     },
        {"X-Entity-Ref-ID",         "42"     }
    };
    const std::string built = Built(message);
    EXPECT_THAT(built, Not(HasSubstr("no")));
    EXPECT_THAT(built, HasSubstr("X-Entity-Ref-ID: 42\r\n"));
}

TEST(Builder, TextEncodingFollowsItsContent) {
    auto message = Simple();
    const auto encoding = [&](std::string text) {
        message.text = std::move(text);
        const std::string built = Built(message);
        const auto at = built.find("Content-Transfer-Encoding: ") + 27;
        return built.substr(at, built.find("\r\n", at) - at);
    };
    EXPECT_EQ(encoding("plain\r\ntext"), "7bit");
    EXPECT_EQ(encoding(std::string(998, 'a')), "7bit");
    EXPECT_EQ(encoding(std::string(999, 'a')), "quoted-printable");
    EXPECT_EQ(
        encoding("Gr\xC3\xBC\xC3\x9F"
                 "e and a longer sentence that is mostly plain"),
        "quoted-printable"
    );
    EXPECT_EQ(encoding("привет"), "base64");
    EXPECT_EQ(encoding("a long enough line\nFrom here on"), "quoted-printable");
    EXPECT_EQ(encoding("a long enough line\n.dot"), "quoted-printable");
    EXPECT_EQ(encoding(std::string("a long enough line \0", 20)), "quoted-printable");
    EXPECT_EQ(encoding("one\rtwo"), "7bit");
    EXPECT_THAT(Built(message), HasSubstr("one\r\ntwo\r\n"));
}

TEST(Builder, QuotedPrintableProtectsFragileLines) {
    std::string out;
    AppendQuotedPrintable(out, "From me\r\n.dot\r\ntab\t\r\na=b \r\nend");
    EXPECT_EQ(out, "=46rom me\r\n=2Edot\r\ntab=09\r\na=3Db=20\r\nend");
    out.clear();
    // The dot would stand first behind the soft break.
    AppendQuotedPrintable(out, std::string(75, 'a') + "." + std::string(76, 'b'));
    EXPECT_EQ(out, std::string(75, 'a') + "=\r\n=2E" + std::string(72, 'b') + "=\r\nbbbb");
    out.clear();
    AppendQuotedPrintable(out, std::string(76, 'a'));
    EXPECT_EQ(out, std::string(76, 'a'));
}

TEST(Builder, MessageAttachmentsTravelCleanOrAsBytes) {
    auto message = Simple();
    message.attachments = {
        {"m.eml", "message/rfc822", "", "Subject: x\r\n\r\nhi\r\n"}
    };
    EXPECT_THAT(
        Built(message), HasSubstr("Content-Type: message/rfc822\r\n"
                                  "Content-Transfer-Encoding: 7bit\r\n")
    );
    message.attachments[0].content = "Subject: x\n\nhi\n";
    EXPECT_THAT(
        Built(message), HasSubstr("Content-Type: application/octet-stream\r\n"
                                  "Content-Transfer-Encoding: base64\r\n")
    );
    for (const char* type : {"multipart/mixed", "nonsense", "", "a/b/c", "te xt/plain"}) {
        message.attachments[0].content_type = type;
        EXPECT_THAT(Built(message), HasSubstr("Content-Type: application/octet-stream\r\n"))
            << type;
    }
}

TEST(Builder, NamesAreQuotedOrEncodedAsNeeded) {
    auto message = Simple();
    const auto from = [&](std::string_view mailbox) {
        message.from = ParseMailbox(mailbox).value();
        const std::string built = Built(message);
        const auto at = built.find("From: ") + 6;
        return built.substr(at, built.find("\r\n", at) - at);
    };
    EXPECT_EQ(from("hello@acme.dev"), "hello@acme.dev");
    EXPECT_EQ(from("Acme, Inc. <a@b.co>"), "\"Acme, Inc.\" <a@b.co>");
    EXPECT_EQ(from("\"A \\\"B\\\"\" <a@b.co>"), "\"A \\\"B\\\"\" <a@b.co>");
    EXPECT_EQ(from("Jürgen Acme <a@b.co>"), "=?UTF-8?Q?J=C3=BCrgen_Acme?= <a@b.co>");
    EXPECT_EQ(from("=?x?= <a@b.co>"), "=?UTF-8?B?PT94Pz0=?= <a@b.co>");
}

TEST(Builder, Utf8AddressesStayOutOfAsciiCopies) {
    auto message = Simple();
    message.to = {
        ParseMailbox("Jörg <jörg@bücher.example>").value(), ParseMailbox("b@c.de").value()};
    const std::string ascii = Built(message);
    EXPECT_THAT(ascii, HasSubstr("To: =?UTF-8?B?"));
    EXPECT_THAT(ascii, HasSubstr(" :;, b@c.de\r\n"));
    const std::string utf8 = Build(message, {"", "", "s", true});
    EXPECT_THAT(utf8, HasSubstr("To: Jörg <jörg@xn--bcher-kva.example>, b@c.de\r\n"));
}

TEST(Builder, FileNamesUseRfc2231OutsideAscii) {
    auto message = Simple();
    message.attachments = {
        {"résumé \"x\".pdf", "application/pdf", "", "x"}
    };
    EXPECT_THAT(Built(message), HasSubstr("filename*=UTF-8''r%C3%A9sum%C3%A9%20%22x%22.pdf\r\n"));
    message.attachments[0].filename = "a b;c.pdf";
    EXPECT_THAT(Built(message), HasSubstr("filename=\"a b;c.pdf\"\r\n"));
    message.attachments[0].filename = std::string(200, 'n') + ".pdf";
    EXPECT_THAT(Built(message), HasSubstr(";\r\n filename*1*=nnn"));
}

TEST(Builder, LongValuesFoldAndUnfoldableOnesAreEncoded) {
    auto message = Simple();
    std::string references;
    for (int i = 0; i < 40; ++i) references += "<reference-" + std::to_string(i) + "@example.com> ";
    message.headers = {
        {"References",                        references},
        { "X-Long",                   std::string(3000,       'x')},
        { "List-Unsubscribe", "<https://x.io/" + std::string(300, 'u') + ">"}
    };
    const std::string built = Built(message);
    EXPECT_THAT(built, HasSubstr("\r\n <reference-"));
    EXPECT_THAT(built, HasSubstr("X-Long: =?UTF-8?Q?xxx"));
    EXPECT_THAT(built, HasSubstr("List-Unsubscribe: <https://x.io/uuu"));
    EXPECT_EQ(BodyOf(built), "Hello\r\nAda\r\n");
}

TEST(BuilderDeathTest, LineEndsInHeadersEndTheProcess) {
    const auto with = [](auto change) {
        auto message = Simple();
        change(message);
        Built(message);
    };
    EXPECT_DEATH(with([](Message& m) { m.subject = "a\r\nBcc: x@y.zz"; }), "header value");
    EXPECT_DEATH(with([](Message& m) { m.subject = "a\nb"; }), "header value");
    EXPECT_DEATH(with([](Message& m) { m.subject = std::string("a\0b", 3); }), "header value");
    EXPECT_DEATH(with([](Message& m) { m.from.display_name = "a\rb"; }), "header value");
    EXPECT_DEATH(with([](Message& m) { m.to[0].local = "a\r\nb"; }), "header value");
    EXPECT_DEATH(with([](Message& m) { m.message_id = "<a@b>\r\nX: y"; }), "header value");
    EXPECT_DEATH(
        with([](Message& m) {
            m.headers = {
                {"X-A", "a\nb"}
            };
        }),
        "header value"
    );
    EXPECT_DEATH(
        with([](Message& m) {
            m.headers = {
                {"X A", "b"}
            };
        }),
        "field name"
    );
    EXPECT_DEATH(
        with([](Message& m) {
            m.headers = {
                {"X:A", "b"}
            };
        }),
        "field name"
    );
    EXPECT_DEATH(
        with([](Message& m) {
            m.attachments = {
                {"a\nb", "a/b", "", "x"}
            };
        }),
        "header value"
    );
    EXPECT_DEATH(
        with([](Message& m) {
            m.attachments = {
                {"a", "a/b", "c\r\nd", "x"}
            };
        }),
        "header value"
    );
}

TEST(Builder, AContentTypeWithLineEndsLosesItsParameters) {
    auto message = Simple();
    message.attachments = {
        {"a", "text/plain; x=\"\r\nBcc: y\"", "", "x"}
    };
    EXPECT_THAT(Built(message), HasSubstr("Content-Type: text/plain\r\nContent-Transfer-Encoding"));
}

}  // namespace
}  // namespace opensend::mime
