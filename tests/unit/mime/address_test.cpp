#include "kernel/mime/address.h"

#include <string>

#include <gtest/gtest.h>

#include "kernel/mime/idna.h"

namespace opensend::mime {
namespace {

std::string Name(std::string_view text) { return ParseMailbox(text).value().display_name; }
std::string Spec(std::string_view text) { return ParseMailbox(text).value().Address(); }

TEST(Address, AcceptedRowsOfTheContractParse) {
    EXPECT_EQ(Spec("a@b.co"), "a@b.co");
    EXPECT_EQ(Name("Acme <a@b.co>"), "Acme");
    EXPECT_EQ(Name("\"Acme, Inc.\" <a@b.co>"), "Acme, Inc.");
    EXPECT_EQ(Name("Acme, Inc. <a@b.co>"), "Acme, Inc.");
    EXPECT_EQ(Name("Bob @ Acme <a@b.co>"), "Bob @ Acme");
    EXPECT_EQ(Name("<a@b.co>"), "");
    EXPECT_EQ(Spec("o'brien@x.com"), "o'brien@x.com");
    EXPECT_EQ(Spec("a!b@c.com"), "a!b@c.com");
    EXPECT_EQ(Spec("\"a b\"@c.com"), "\"a b\"@c.com");
    EXPECT_EQ(Spec("jörg@bücher.example"), "jörg@xn--bcher-kva.example");
    EXPECT_EQ(Spec("a@xn--bcher-kva.example"), "a@xn--bcher-kva.example");
    EXPECT_EQ(ParseMailbox(" a@b.co ").value().text, "a@b.co");
}

TEST(Address, RefusedRowsOfTheContractAreRefused) {
    for (const char* text :
         {"a@b", "a@b.co,c@d.co", "A <a@b.co>, C <c@d.co>", "a@b.co, C <c@d.co>", "a..b@c.com",
          ".a@c.com", "a.@c.com", "a@-b.com", "a@b_c.com", "a@[192.0.2.1]", "a@b.co.",
          "Acme a@b.co", "Acme <a@b.co", "a@b.123", "a b@c.com", "", " "}) {
        EXPECT_FALSE(ParseMailbox(text).ok()) << text;
        EXPECT_FALSE(ParseAddress(text).ok()) << text;
    }
}

TEST(Address, OtherShapesAreRefused) {
    for (const char* text :
         {"a@b@c.com",
          "(x)a@b.co",
          "a(x)@b.co",
          "group: a@b.co;",
          "<@r.com:a@b.co>",
          "a@",
          "@b.co",
          "\"a@b.co",
          "\"\"@b.co",
          "\"a\" b <a@b.co>",
          "A \"B\" <a@b.co>",
          "A \\B <a@b.co>",
          "<a@b.co>>",
          "<<a@b.co>>",
          "A <a@b.co> x",
          "< a@b.co>",
          "A\r\nBcc: x@y.zz <a@b.co>",
          "a\tb <a@b.co>",
          "A\xE2\x80\xA8 <a@b.co>",
          "A\xC2\x85 <a@b.co>",
          "a@b..co",
          "a@.co",
          "a@xn--a.com",
          "\xFF@b.co",
          "a@xn--bcher-.example",
          "a@b\xE3\x80\x82",
          "\"x\" @b.co",
          "a @b.co",
          "a;b <c@d.co> e@f.gg"}) {
        EXPECT_FALSE(ParseMailbox(text).ok()) << text;
    }
    EXPECT_FALSE(ParseMailbox(std::string_view("a\0@b.co", 7)).ok());
    EXPECT_FALSE(ParseAddress("Acme <a@b.co>").ok());
    EXPECT_FALSE(ParseAddress("<a@b.co>").ok());
}

TEST(Address, LengthsAreLimited) {
    EXPECT_TRUE(ParseAddress(std::string(64, 'a') + "@b.co").ok());
    EXPECT_FALSE(ParseAddress(std::string(65, 'a') + "@b.co").ok());
    EXPECT_TRUE(ParseAddress("a@" + std::string(63, 'b') + ".co").ok());
    EXPECT_FALSE(ParseAddress("a@" + std::string(64, 'b') + ".co").ok());
    std::string name;
    for (int i = 0; i < 255; ++i) name += "é";
    EXPECT_TRUE(ParseMailbox(name + " <a@b.co>").ok());
    EXPECT_FALSE(ParseMailbox(name + "é <a@b.co>").ok());
    EXPECT_FALSE(ParseMailbox(std::string(1 << 20, '"')).ok());
}

TEST(Address, QuotesAreKeptOnlyWhereNeeded) {
    EXPECT_EQ(Spec("\"abc\"@d.com"), "abc@d.com");
    EXPECT_EQ(Spec("\"a\\bc\"@d.com"), "abc@d.com");
    EXPECT_EQ(Spec("\"a\\\"b\"@d.com"), "\"a\\\"b\"@d.com");
    EXPECT_EQ(Spec("\"a@b\"@d.com"), "\"a@b\"@d.com");
    EXPECT_EQ(Name("\"A \\\"B\\\" \\\\C\" <a@b.co>"), "A \"B\" \\C");
}

TEST(Address, KeysFoldCaseAndFormButNotPlusOrDots) {
    EXPECT_EQ(ParseAddress("A.B+c@EXAMPLE.com").value().Key(), "a.b+c@example.com");
    EXPECT_EQ(ParseAddress("\"AbC\"@d.com").value().Key(), "abc@d.com");
    EXPECT_EQ(ParseAddress("jo\xCC\x88rg@d.com").value().Key(), "j\xC3\xB6rg@d.com");
    EXPECT_EQ(
        ParseAddress("a@B\xC3\x9C"
                     "CHER.example")
            .value()
            .Key(),
        "a@xn--bcher-kva.example"
    );
    EXPECT_EQ(ParseMailbox("Jo\xCC\x88rg <A@b.co>").value().text, "J\xC3\xB6rg <A@b.co>");
}

TEST(Address, OnlyANonAsciiLocalPartNeedsSmtpUtf8) {
    EXPECT_TRUE(ParseAddress("jörg@b.co").value().NeedsSmtpUtf8());
    EXPECT_FALSE(ParseAddress("a@bücher.example").value().NeedsSmtpUtf8());
    EXPECT_FALSE(ParseMailbox("Jörg <a@b.co>").value().NeedsSmtpUtf8());
}

TEST(Idna, NamesMapToALabelsAndBack) {
    EXPECT_EQ(ToALabel("Mail.ACME.dev"), "mail.acme.dev");
    EXPECT_EQ(ToALabel("straße.de"), "xn--strae-oqa.de");
    EXPECT_EQ(ToALabel("例え.テスト"), "xn--r8jz45g.xn--zckzah");
    EXPECT_EQ(ToULabel("xn--bcher-kva.example"), "bücher.example");
    EXPECT_EQ(ToULabel("acme.dev"), "acme.dev");
    for (const char* name :
         {"", "dev", "acme.dev.", ".acme.dev", "a b.dev", "1.2.3.4", "acme.1", "-a.dev", "a-.dev",
          "a_b.dev", "xn--\xC3\xBC.dev", "[::1]"}) {
        EXPECT_FALSE(ToALabel(name)) << name;
    }
    EXPECT_FALSE(ToALabel(std::string(2000, 'a')));
}

TEST(Idna, PublicSuffixesAreKnown) {
    EXPECT_TRUE(IsPublicSuffix("com"));
    EXPECT_TRUE(IsPublicSuffix("co.uk"));
    EXPECT_FALSE(IsPublicSuffix("acme.dev"));
    EXPECT_FALSE(IsPublicSuffix("mail.acme.co.uk"));
    EXPECT_EQ(RegistrableDomain("mail.acme.dev"), "acme.dev");
    EXPECT_EQ(RegistrableDomain("a.b.acme.co.uk"), "acme.co.uk");
    EXPECT_EQ(RegistrableDomain("acme.dev"), "acme.dev");
    EXPECT_EQ(RegistrableDomain("co.uk"), "co.uk");
}

}  // namespace
}  // namespace opensend::mime
