#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/builder.h"

namespace opensend::mime {

namespace {

// " name:code point in hexadecimal " of the references that mail uses.
constexpr std::string_view kEntities =
    " AElig:c6 Aacute:c1 Acirc:c2 Agrave:c0 Aring:c5 Atilde:c3 Auml:c4 Ccedil:c7 Dagger:2021 "
    "ETH:d0 Eacute:c9 Ecirc:ca Egrave:c8 Euml:cb Iacute:cd Icirc:ce Igrave:cc Iuml:cf "
    "Ntilde:d1 OElig:152 Oacute:d3 Ocirc:d4 Ograve:d2 Oslash:d8 Otilde:d5 Ouml:d6 Scaron:160 "
    "THORN:de Uacute:da Ucirc:db Ugrave:d9 Uuml:dc Yacute:dd aacute:e1 acirc:e2 acute:b4 "
    "aelig:e6 agrave:e0 amp:26 apos:27 aring:e5 atilde:e3 auml:e4 bdquo:201e brvbar:a6 "
    "bull:2022 ccedil:e7 cent:a2 check:2713 copy:a9 curren:a4 dagger:2020 deg:b0 divide:f7 "
    "eacute:e9 ecirc:ea egrave:e8 emsp:2003 ensp:2002 eth:f0 euml:eb euro:20ac frac12:bd "
    "frac14:bc frac34:be ge:2265 gt:3e hearts:2665 hellip:2026 iacute:ed icirc:ee iexcl:a1 "
    "igrave:ec infin:221e iquest:bf iuml:ef laquo:ab larr:2190 ldquo:201c le:2264 "
    "lsaquo:2039 lsquo:2018 lt:3c macr:af mdash:2014 micro:b5 middot:b7 minus:2212 nbsp:a0 "
    "ndash:2013 ne:2260 not:ac ntilde:f1 oacute:f3 ocirc:f4 oelig:153 ograve:f2 ordf:aa "
    "ordm:ba oslash:f8 otilde:f5 ouml:f6 para:b6 permil:2030 plusmn:b1 pound:a3 quot:22 "
    "raquo:bb rarr:2192 rdquo:201d reg:ae rsaquo:203a rsquo:2019 sbquo:201a scaron:161 "
    "sect:a7 shy:ad sup1:b9 sup2:b2 sup3:b3 szlig:df thinsp:2009 thorn:fe times:d7 "
    "trade:2122 uacute:fa ucirc:fb ugrave:f9 uml:a8 uuml:fc yacute:fd yen:a5 yuml:ff "
    "zwj:200d zwnj:200c ";
constexpr size_t kMaxEntityName = 8;

// What the numeric references 128 to 159 mean in practice: Windows-1252.
constexpr uint16_t kWindowsPoints[32] = {
    0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178,
};

constexpr std::string_view kParagraphTags[] = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "pre", "hr", "table"};
constexpr std::string_view kLineTags[] = {
    "div",   "li",     "tr",     "section", "article", "header",   "footer",  "main",       "nav",
    "aside", "figure", "form",   "address", "dt",      "dd",       "caption", "figcaption", "tbody",
    "thead", "tfoot",  "center", "body",    "html",    "fieldset", "option",
};
constexpr std::string_view kSkippedTags[] = {"script", "style", "title", "template", "textarea"};

bool IsHtmlBlank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool IsHtmlLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

template <size_t N>
bool IsOneOf(std::string_view name, const std::string_view (&names)[N]) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

void AppendPoint(std::string& out, uint32_t point) {
    const auto put = [&](uint32_t byte) { out += static_cast<char>(static_cast<uint8_t>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | point >> 6);
        put(0x80 | (point & 63));
    } else if (point < 0x10000) {
        put(0xE0 | point >> 12);
        put(0x80 | (point >> 6 & 63));
        put(0x80 | (point & 63));
    } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 63));
        put(0x80 | (point >> 6 & 63));
        put(0x80 | (point & 63));
    }
}

/// Digits of "&#…;" without the "#".
uint32_t NumericPoint(std::string_view digits) {
    uint32_t base = 10;
    if (!digits.empty() && (digits.front() == 'x' || digits.front() == 'X')) {
        base = 16;
        digits.remove_prefix(1);
    }
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(
        digits.data(), digits.data() + digits.size(), value, static_cast<int>(base)
    );
    if (error != std::errc() || end != digits.data() + digits.size()) return 0xFFFD;
    if (value >= 0x80 && value < 0xA0) return kWindowsPoints[value - 0x80];
    if (value == 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return 0xFFFD;
    return value < 0x20 || value == 0x7F ? uint32_t{' '} : value;
}

/// Decodes the reference at the "&" of `text`; its length, or 0 when there is none.
size_t DecodeReference(std::string_view text, std::string& out) {
    const auto end = text.substr(0, 16).find(';');
    if (end == std::string_view::npos || end < 2) return 0;
    const auto name = text.substr(1, end - 1);
    if (name.front() == '#') {
        if (name.size() < 2) return 0;
        AppendPoint(out, NumericPoint(name.substr(1)));
        return end + 1;
    }
    const bool is_name =
        name.size() <= kMaxEntityName && name.find_first_of(" :") == std::string_view::npos;
    if (!is_name) return 0;
    const std::string key = base::Cat(" ", name, ":");
    const auto found = kEntities.find(key);
    if (found == std::string_view::npos) return 0;
    uint32_t point = 0;
    const char* digits = kEntities.data() + found + key.size();
    std::from_chars(digits, kEntities.data() + kEntities.size(), point, 16);
    AppendPoint(out, point);
    return end + 1;
}

std::string DecodeReferences(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t length = text[at] == '&' ? DecodeReference(text.substr(at), out) : 0;
        if (length == 0) out += text[at];
        at += std::max<size_t>(length, 1);
    }
    return out;
}

struct HtmlTag {
    std::string name;  // lower case
    bool is_end = false;
    std::string_view attributes;
};

/// The tag at the "<" of `text` and its length; an unended tag takes the rest.
size_t ReadTag(std::string_view text, HtmlTag& tag) {
    size_t at = 1;
    tag.is_end = text[at] == '/';
    if (tag.is_end) ++at;
    const size_t name = at;
    while (at < text.size() && !IsHtmlBlank(text[at]) && text[at] != '>' && text[at] != '/') ++at;
    tag.name = base::AsciiLower(text.substr(name, std::min<size_t>(at - name, 32)));
    const size_t attributes = at;
    char quote = 0;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (quote != 0) {
            if (c == quote) quote = 0;
        } else if ((c == '"' || c == '\'') && text[at - 1] == '=') {
            quote = c;
        } else if (c == '>') {
            break;
        }
    }
    tag.attributes = text.substr(attributes, at - attributes);
    return std::min(at + 1, text.size());
}

/// The decoded value of an attribute without white space around and inside.
std::string AttributeOf(std::string_view attributes, std::string_view wanted) {
    size_t at = 0;
    const auto skip_blanks = [&] {
        while (at < attributes.size() && (IsHtmlBlank(attributes[at]) || attributes[at] == '/'))
            ++at;
    };
    while (true) {
        skip_blanks();
        if (at >= attributes.size()) return {};
        const size_t name = at++;
        while (at < attributes.size() && !IsHtmlBlank(attributes[at]) && attributes[at] != '=')
            ++at;
        const auto found = attributes.substr(name, at - name);
        while (at < attributes.size() && IsHtmlBlank(attributes[at])) ++at;
        if (at >= attributes.size() || attributes[at] != '=') continue;
        ++at;
        while (at < attributes.size() && IsHtmlBlank(attributes[at])) ++at;
        std::string_view value;
        if (at < attributes.size() && (attributes[at] == '"' || attributes[at] == '\'')) {
            const size_t end = std::min(attributes.find(attributes[at], at + 1), attributes.size());
            value = attributes.substr(at + 1, end - at - 1);
            at = std::min(end + 1, attributes.size());
        } else {
            const size_t start = at;
            while (at < attributes.size() && !IsHtmlBlank(attributes[at])) ++at;
            value = attributes.substr(start, at - start);
        }
        if (base::EqualsIgnoreCase(found, wanted)) return DecodeReferences(base::Trim(value));
    }
}

/// Lines of plain text: white space collapses, breaks are written when text follows.
class PlainLines {
public:
    void Text(std::string_view text) {
        for (const char c : text) {
            if (IsHtmlBlank(c) || c == '\0') {
                if (is_verbatim_ && c == '\n') {
                    Break(breaks_ + 1);
                } else if (is_verbatim_ && c != '\r') {
                    Flush();
                    out_ += ' ';
                } else {
                    has_blank_ = true;
                }
                continue;
            }
            Flush();
            out_ += c;
        }
    }
    /// At least so many line ends stand before the next text.
    void Break(size_t count) {
        breaks_ = std::min<size_t>(std::max(breaks_, count), 2);
        has_blank_ = false;
    }
    void LineEnd() { Break(breaks_ + 1); }
    void Blank() { has_blank_ = true; }
    void Bullet() {
        Break(1);
        bullet_ = true;
    }
    void Verbatim(bool on) { is_verbatim_ = on; }
    size_t size() const { return out_.size(); }
    std::string_view From(size_t at) const { return std::string_view(out_).substr(at); }
    std::string Finish() && { return std::move(out_); }

private:
    void Flush() {
        if (out_.empty()) {
            breaks_ = 0;
            has_blank_ = false;
        }
        if (breaks_ > 0) {
            while (!out_.empty() && out_.back() == ' ') out_.pop_back();
            out_.append(breaks_, '\n');
            breaks_ = 0;
            has_blank_ = false;
        }
        if (bullet_) {
            out_ += "- ";
            bullet_ = false;
            has_blank_ = false;
        }
        if (has_blank_ && out_.back() != ' ') out_ += ' ';
        has_blank_ = false;
    }

    std::string out_;
    size_t breaks_ = 0;
    bool has_blank_ = false;
    bool bullet_ = false;
    bool is_verbatim_ = false;
};

class HtmlReader {
public:
    explicit HtmlReader(std::string_view html) : html_(html) {}

    std::string Read() && {
        while (at_ < html_.size()) {
            const size_t open = std::min(html_.find('<', at_), html_.size());
            if (!in_head_) PlainText(html_.substr(at_, open - at_));
            at_ = open;
            if (at_ < html_.size()) Markup();
        }
        EndLink();
        return std::move(lines_).Finish();
    }

private:
    void PlainText(std::string_view text) {
        std::string decoded;
        while (!text.empty()) {
            const size_t amp = std::min(text.find('&'), text.size());
            lines_.Text(text.substr(0, amp));
            text.remove_prefix(amp);
            if (text.empty()) return;
            decoded.clear();
            const size_t length = DecodeReference(text, decoded);
            if (length == 0) decoded = "&";
            Reference(decoded);
            text.remove_prefix(std::max<size_t>(length, 1));
        }
    }

    void Reference(std::string_view decoded) {
        constexpr std::string_view kNoBreakSpace = "\xC2\xA0";
        constexpr std::string_view kSoftHyphen = "\xC2\xAD";
        if (decoded == kSoftHyphen) return;
        lines_.Text(decoded == kNoBreakSpace ? std::string_view(" ") : decoded);
    }

    void Markup() {
        const auto rest = html_.substr(at_);
        const char next = rest.size() > 1 ? rest[1] : ' ';
        if (rest.substr(0, 4) == "<!--") {
            // "<!-->" and "<!--->" are whole comments.
            const auto end = html_.find("-->", at_ + 2);
            at_ = end == std::string_view::npos ? html_.size() : end + 3;
        } else if (next == '!' || next == '?') {
            const auto end = html_.find('>', at_);
            at_ = end == std::string_view::npos ? html_.size() : end + 1;
        } else if (IsHtmlLetter(next) || (next == '/' && rest.size() > 2 && IsHtmlLetter(rest[2]))) {
            HtmlTag tag;
            at_ += ReadTag(rest, tag);
            Tag(tag);
        } else {
            if (!in_head_) lines_.Text("<");
            ++at_;
        }
    }

    void Tag(const HtmlTag& tag) {
        if (!tag.is_end && IsOneOf(tag.name, kSkippedTags)) return SkipTo(tag.name);
        if (tag.name == "head") {
            in_head_ = !tag.is_end;
        } else if (tag.name == "body") {
            in_head_ = false;
        }
        if (in_head_) return;
        if (tag.name == "a") {
            EndLink();
            if (!tag.is_end) StartLink(tag);
        } else if (tag.name == "br") {
            lines_.LineEnd();
        } else if (tag.name == "img" && !tag.is_end) {
            lines_.Text(AttributeOf(tag.attributes, "alt"));
        } else if (tag.name == "td" || tag.name == "th") {
            lines_.Blank();
        } else if (tag.name == "li" && !tag.is_end) {
            lines_.Bullet();
        } else if (IsOneOf(tag.name, kParagraphTags)) {
            lines_.Break(2);
            if (tag.name == "pre") lines_.Verbatim(!tag.is_end);
        } else if (IsOneOf(tag.name, kLineTags)) {
            lines_.Break(1);
        }
    }

    /// Behind the end tag of an element whose text is not shown.
    void SkipTo(std::string_view name) {
        for (auto open = html_.find("</", at_); open != std::string_view::npos;
             open = html_.find("</", open + 2)) {
            if (!base::StartsWithIgnoreCase(html_.substr(open + 2), name)) continue;
            const auto end = html_.find('>', open);
            at_ = end == std::string_view::npos ? html_.size() : end + 1;
            return;
        }
        at_ = html_.size();
    }

    void StartLink(const HtmlTag& tag) {
        link_.clear();
        for (const char c : AttributeOf(tag.attributes, "href")) {
            if (static_cast<uint8_t>(c) > ' ' && c != 127) link_ += c;
        }
        link_from_ = lines_.size();
        if (base::StartsWithIgnoreCase(link_, "mailto:")) {
            link_ = link_.substr(
                7, link_.find('?') == std::string::npos ? std::string::npos : link_.find('?') - 7
            );
        }
        if (base::StartsWithIgnoreCase(link_, "javascript:") || link_.substr(0, 1) == "#") {
            link_.clear();
        }
    }

    void EndLink() {
        if (link_.empty()) return;
        const std::string link = std::move(link_);
        link_.clear();
        const auto shown = base::Trim(lines_.From(std::min(link_from_, lines_.size())));
        if (shown.empty() || shown == link || base::Cat(shown, "/") == link) return;
        lines_.Blank();
        lines_.Text(base::Cat("(", link, ")"));
    }

    std::string_view html_;
    size_t at_ = 0;
    bool in_head_ = false;
    std::string link_;
    size_t link_from_ = 0;
    PlainLines lines_;
};

}  // namespace

std::string HtmlToText(std::string_view html) {
    std::string text = HtmlReader(html).Read();
    const auto last = text.find_last_not_of(" \n");
    text.resize(last == std::string::npos ? 0 : last + 1);
    if (!text.empty()) text += '\n';
    return text;
}

}  // namespace opensend::mime
