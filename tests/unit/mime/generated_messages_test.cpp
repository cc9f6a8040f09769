#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmime/gmime.h>
#include <gtest/gtest.h>

#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/builder.h"
#include "kernel/mime/wire_format.h"

namespace opensend::mime {
namespace {

struct Unref {
    void operator()(void* object) const { g_object_unref(object); }
};

/// The parsed form of a built message.
class Parsed {
public:
    explicit Parsed(const std::string& bytes) {
        static const bool ready = [] {
            g_mime_init();
            return true;
        }();
        EXPECT_TRUE(ready);
        const std::unique_ptr<GMimeStream, Unref> stream(
            g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size())
        );
        const std::unique_ptr<GMimeParser, Unref> parser(g_mime_parser_new_with_stream(stream.get())
        );
        message_.reset(g_mime_parser_construct_message(parser.get(), nullptr));
        Collect(g_mime_message_get_mime_part(message_.get()));
    }

    GMimeMessage* message() const { return message_.get(); }
    const std::vector<GMimeObject*>& leaves() const { return leaves_; }
    std::string Header(const char* name) const {
        const char* value = g_mime_object_get_header(GMIME_OBJECT(message_.get()), name);
        return value != nullptr ? value : "(absent)";
    }
    static std::string Content(GMimeObject* part) {
        const std::unique_ptr<GMimeStream, Unref> out(g_mime_stream_mem_new());
        if (GMIME_IS_MESSAGE_PART(part)) {
            auto* inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(part));
            g_mime_object_write_to_stream(GMIME_OBJECT(inner), nullptr, out.get());
        } else {
            auto* content = g_mime_part_get_content(GMIME_PART(part));
            if (content != nullptr) g_mime_data_wrapper_write_to_stream(content, out.get());
        }
        const auto* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(out.get()));
        return {reinterpret_cast<const char*>(bytes->data), bytes->len};
    }

private:
    void Collect(GMimeObject* part) {
        if (!GMIME_IS_MULTIPART(part)) {
            leaves_.push_back(part);
            return;
        }
        auto* multipart = GMIME_MULTIPART(part);
        for (int i = 0; i < g_mime_multipart_get_count(multipart); ++i) {
            Collect(g_mime_multipart_get_part(multipart, i));
        }
    }

    std::unique_ptr<GMimeMessage, Unref> message_;
    std::vector<GMimeObject*> leaves_;
};

/// Random values with a fixed seed, odd ones on purpose.
class Generator {
public:
    size_t Below(size_t limit) { return engine_() % limit; }

    std::string Words(size_t pieces) {
        static const char* const kPieces[] = {
            "plain",
            "Grüße",
            "🚀",
            "👩‍👩‍👧‍👦",
            "日本語テキスト",
            "=?utf-8?q?x?=",
            "a=b",
            "\"quoted\"",
            "back\\slash",
            "(comment)",
            "<tag>",
            "comma,",
            "semi;colon",
            "From",
            ".dot",
            "under_score",
            "?",
            "e\xCC\x81",
            "averyveryveryveryveryveryveryverylongwordwithoutanyblankinitthatgoesonandonandon",
            "x",
            "%41",
            "'single'",
            "a@b.co",
            "[x]",
            "\xC2\xA0",
            "-",
            "~",
        };
        std::string out;
        for (size_t i = 0; i < pieces; ++i) {
            if (i > 0) out += Below(8) == 0 ? (Below(2) == 0 ? "  " : "") : " ";
            out += kPieces[Below(std::size(kPieces))];
        }
        return out;
    }
    std::string Body() {
        std::string out;
        const size_t lines = Below(30);
        const bool ascii = Below(3) == 0;
        for (size_t i = 0; i < lines; ++i) {
            std::string line = Words(Below(12));
            if (Below(20) == 0) line += std::string(Below(3000), 'L');
            if (Below(10) == 0) line += " \t";
            if (ascii && !base::IsAscii(line)) line = ".ascii From";
            static const char* const kEnds[] = {"\n", "\r\n", "\r"};
            out += line + kEnds[Below(10) == 0 ? Below(3) : 0];
        }
        return out + (Below(2) == 0 ? "tail" : "");
    }
    std::string Bytes(size_t size) {
        std::string out(size, '\0');
        for (char& c : out) c = static_cast<char>(static_cast<uint8_t>(engine_()));
        return out;
    }
    Mailbox Address() {
        static const char* const kSpecs[] = {
            "a@b.co",
            "o'brien@x.com",
            "\"a b\"@c.com",
            "hello@bücher.example",
            "x+y@sub.domain.example",
            "averyveryverylonglocalpart.with.dots@mail.example.org"};
        Mailbox mailbox = ParseAddress(kSpecs[Below(std::size(kSpecs))]).value();
        if (Below(4) != 0) mailbox.display_name = std::string(base::Trim(Words(1 + Below(12))));
        return mailbox;
    }
    std::vector<Mailbox> Addresses(size_t count) {
        std::vector<Mailbox> out;
        for (size_t i = 0; i < count; ++i) out.push_back(Address());
        return out;
    }
    Message Next() {
        Message message;
        message.message_id = base::Cat("<", Below(1'000'000), "@acme.dev>");
        message.date = {1'772'442'930'000'000 + static_cast<int64_t>(Below(1'000'000)) * 1'000'000};
        message.from = Address();
        message.to = Addresses(1 + Below(Below(10) == 0 ? 50 : 3));
        message.cc = Addresses(Below(3));
        message.reply_to = Addresses(Below(2));
        message.subject = Words(Below(25));
        const size_t headers = Below(4);
        for (size_t i = 0; i < headers; ++i) {
            message.headers.push_back(
                {base::Cat("X-Test-", i, std::string(Below(60), 'n')),
                 std::string(base::Trim(Words(Below(40))))}
            );
        }
        if (Below(4) != 0) message.text = Body();
        if (Below(3) != 0 || !message.text) message.html = "<p>" + Body() + "</p>";
        const size_t attachments = Below(3) == 0 ? Below(Below(20) == 0 ? 40 : 4) : 0;
        for (size_t i = 0; i < attachments; ++i) {
            Attachment attachment{
                Words(1 + Below(6)), "application/pdf", "", Bytes(1 + Below(400))};
            if (Below(3) == 0) attachment.content_id = base::Cat("part", i, "@x");
            if (Below(5) == 0) attachment.content_type = "text/csv; charset=utf-8";
            message.attachments.push_back(std::move(attachment));
        }
        return message;
    }

private:
    std::mt19937 engine_{20'260'302};
};

void ExpectWireRules(const std::string& built, bool utf8) {
    size_t at = 0;
    bool in_header = true;
    while (at < built.size()) {
        const size_t end = built.find("\r\n", at);
        ASSERT_NE(end, std::string::npos);
        const auto line = std::string_view(built).substr(at, end - at);
        ASSERT_LE(line.size(), 998u);
        ASSERT_EQ(line.find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos);
        if (!utf8) {
            ASSERT_TRUE(base::IsAscii(line)) << line;
        }
        if (line.empty()) in_header = false;
        // White space alone would end the header for some readers.
        ASSERT_FALSE(in_header && base::Trim(line).empty());
        ASSERT_TRUE(in_header || line.empty() || line.front() != '.') << line;
        at = end + 2;
    }
}

void ExpectAddresses(
    GMimeMessage* message, GMimeAddressType type, const std::vector<Mailbox>& expected
) {
    auto* list = g_mime_message_get_addresses(message, type);
    ASSERT_EQ(static_cast<size_t>(internet_address_list_length(list)), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        auto* address = internet_address_list_get_address(list, static_cast<int>(i));
        ASSERT_TRUE(INTERNET_ADDRESS_IS_MAILBOX(address));
        const char* name = internet_address_get_name(address);
        EXPECT_EQ(std::string(name != nullptr ? name : ""), expected[i].display_name);
        EXPECT_EQ(
            internet_address_mailbox_get_idn_addr(INTERNET_ADDRESS_MAILBOX(address)),
            expected[i].Address()
        );
    }
}

std::string WithoutFinalEnd(std::string text) {
    while (text.ends_with("\r\n")) text.resize(text.size() - 2);
    return text;
}

void ExpectFields(const Parsed& parsed, const Message& message) {
    ExpectAddresses(parsed.message(), GMIME_ADDRESS_TYPE_FROM, {message.from});
    ExpectAddresses(parsed.message(), GMIME_ADDRESS_TYPE_TO, message.to);
    ExpectAddresses(parsed.message(), GMIME_ADDRESS_TYPE_CC, message.cc);
    ExpectAddresses(parsed.message(), GMIME_ADDRESS_TYPE_REPLY_TO, message.reply_to);
    EXPECT_EQ(parsed.Header("Subject"), message.subject);
    EXPECT_EQ(
        "<" + std::string(g_mime_message_get_message_id(parsed.message())) + ">", message.message_id
    );
    EXPECT_EQ(parsed.Header("Date"), base::FormatRfc5322(message.date));
    for (const auto& [name, value] : message.headers) {
        EXPECT_EQ(parsed.Header(name.c_str()), value) << name;
    }
}

void ExpectParts(const Parsed& parsed, const Message& message) {
    const auto& leaves = parsed.leaves();
    size_t next = 0;
    const bool is_single = leaves.size() == 1;
    const auto expect_text = [&](const std::string& text) {
        ASSERT_LT(next, leaves.size());
        const std::string content = Parsed::Content(leaves[next++]);
        const std::string wanted = NormalizeLines(text);
        // Where an encoded line ends is the parser's choice for quoted-printable.
        EXPECT_EQ(
            is_single ? WithoutFinalEnd(NormalizeLines(content)) : NormalizeLines(content),
            is_single ? WithoutFinalEnd(wanted) : wanted
        );
    };
    if (message.text && (!message.text->empty() || !message.html)) expect_text(*message.text);
    if (!message.text) expect_text(HtmlToText(*message.html));
    if (message.html) expect_text(*message.html);
    for (const bool is_inline : {true, false}) {
        for (const auto& attachment : message.attachments) {
            if (attachment.content_id.empty() == is_inline) continue;
            ASSERT_LT(next, leaves.size());
            auto* part = leaves[next++];
            EXPECT_EQ(Parsed::Content(part), attachment.content);
            const char* name = g_mime_part_get_filename(GMIME_PART(part));
            EXPECT_EQ(std::string(name != nullptr ? name : ""), attachment.filename);
            const char* id = g_mime_object_get_content_id(part);
            EXPECT_EQ(std::string(id != nullptr ? id : ""), attachment.content_id);
        }
    }
    EXPECT_EQ(next, leaves.size());
}

TEST(GeneratedMessages, ParseBackToTheSameFieldsAndBytes) {
    Generator generator;
    for (int i = 0; i < 1000; ++i) {
        const Message message = generator.Next();
        const bool utf8 = i % 7 == 0;
        const std::string built = Build(message, {"oid", "f", base::Cat("m/", i), utf8});
        SCOPED_TRACE(base::Cat("message ", i));
        ExpectWireRules(built, utf8);
        EXPECT_LE(built.size(), EncodedSizeBound(message));
        const Parsed parsed(built);
        ExpectFields(parsed, message);
        ExpectParts(parsed, message);
        if (HasFailure()) {
            ADD_FAILURE() << built.substr(0, 6000);
            return;
        }
    }
}

}  // namespace
}  // namespace opensend::mime
