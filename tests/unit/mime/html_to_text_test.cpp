#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "kernel/mime/builder.h"

namespace opensend::mime {
namespace {

TEST(HtmlToText, BlocksStandOnLinesOfTheirOwn) {
    EXPECT_EQ(
        HtmlToText("<h1>Hi</h1><p>One\n  two</p><div>a</div><div>b</div>"),
        "Hi\n\nOne two\n\na\nb\n"
    );
    EXPECT_EQ(HtmlToText("a<br>b<br/><br>c"), "a\nb\n\nc\n");
    EXPECT_EQ(HtmlToText("<ul><li>x<li>y</ul>z"), "- x\n- y\n\nz\n");
    EXPECT_EQ(
        HtmlToText("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"), "a b\nc\n"
    );
    EXPECT_EQ(HtmlToText("<pre>a\n  b</pre>"), "a\n  b\n");
    EXPECT_EQ(HtmlToText(""), "");
    EXPECT_EQ(HtmlToText("<p> </p>"), "");
}

TEST(HtmlToText, LinksShowTheirTarget) {
    EXPECT_EQ(
        HtmlToText("<a href=\"https://x.io/?a=1&amp;b=2\">Go <b>on</b></a>!"),
        "Go on (https://x.io/?a=1&b=2)!\n"
    );
    EXPECT_EQ(HtmlToText("<a href='https://x.io'>https://x.io</a>"), "https://x.io\n");
    EXPECT_EQ(HtmlToText("<a href=mailto:a@b.co?subject=x>write</a>"), "write (a@b.co)\n");
    EXPECT_EQ(HtmlToText("<a href=\"#top\">up</a> <a href=\"javascript:x()\">run</a>"), "up run\n");
    EXPECT_EQ(
        HtmlToText("<a href=\"https://x.io\"><img alt=\"Logo\"></a>"), "Logo (https://x.io)\n"
    );
    EXPECT_EQ(HtmlToText("<a href=\"https://x.io\"><img></a>a"), "a\n");
    EXPECT_EQ(HtmlToText("<a href=https://x.io>a"), "a (https://x.io)\n");
    EXPECT_EQ(
        HtmlToText("<a href=\"https://x.io/?copy=1&copy=2\">a</a>"),
        "a (https://x.io/?copy=1&copy=2)\n"
    );
}

TEST(HtmlToText, HiddenElementsAreLeftOut) {
    EXPECT_EQ(HtmlToText("<html><head><title>t</title><style>p{}</style></head><body>x"), "x\n");
    EXPECT_EQ(HtmlToText("a<script>if (a<b) '</p>';</SCRIPT >b"), "ab\n");
    EXPECT_EQ(HtmlToText("a<!-- <p>no --> b<!DOCTYPE x>c<?php ?>d"), "a bcd\n");
    EXPECT_EQ(HtmlToText("<head>x<body>y"), "y\n");
    EXPECT_EQ(HtmlToText("a<script>never ended"), "a\n");
}

TEST(HtmlToText, ReferencesAreDecoded) {
    EXPECT_EQ(
        HtmlToText("&lt;b&gt; &amp;amp; &eacute;&#233;&#xE9;&#x1F680; &hellip;"),
        "<b> &amp; ééé🚀 …\n"
    );
    EXPECT_EQ(HtmlToText("&#128;&#0;&#xD800;&#x110000;&#99999999999;"), "€����\n");
    EXPECT_EQ(HtmlToText("a&nbsp;&#13;b &unknown; &amp &; & x"), "a b &unknown; &amp &; & x\n");
    EXPECT_EQ(HtmlToText("soft&shy;hyphen"), "softhyphen\n");
}

TEST(HtmlToText, BrokenMarkupIsText) {
    EXPECT_EQ(HtmlToText("1 < 2 <3 << a"), "1 < 2 <3 << a\n");
    EXPECT_EQ(HtmlToText("x <b"), "x\n");
    EXPECT_EQ(HtmlToText("x <b title=\"a>b\">y"), "x y\n");
    EXPECT_EQ(HtmlToText("<"), "<\n");
    EXPECT_EQ(HtmlToText("</"), "</\n");
}

TEST(HtmlToText, HostileInputTakesLinearTime) {
    for (const char* piece :
         {"<", "<a href=x>", "&", "<!--", "<div>", "<a b='", "<script>", "<li>", "</x", "&#x1;",
          "\n", "<pre>\n"}) {
        std::string html;
        while (html.size() < (1u << 20)) html += piece;
        const auto start = std::chrono::steady_clock::now();
        EXPECT_LE(HtmlToText(html).size(), html.size() + 1) << piece;
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << piece;
    }
}

}  // namespace
}  // namespace opensend::mime
