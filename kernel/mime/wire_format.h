#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/mime/address.h"

namespace opensend::mime {

/// How the bytes of a part travel.
enum class TransferEncoding { k7bit = 1, kQuotedPrintable, kBase64 };
std::string_view NameOf(TransferEncoding encoding);

/// What a text part needs: encoding by MIME-04 and whether its line ends are CRLF already.
struct TextShape {
    TransferEncoding encoding = TransferEncoding::k7bit;
    bool is_crlf = true;
};
TextShape ShapeOf(std::string_view text);

/// Line ends CRLF; a bare CR or LF is one line end.
std::string NormalizeLines(std::string_view text);
/// Lines of at most 76 characters. The input has CRLF line ends; none is added at the end.
void AppendQuotedPrintable(std::string& out, std::string_view text);
/// Lines of 76 characters, each ended by CRLF, the last one too.
void AppendBase64Lines(std::string& out, std::string_view bytes);
/// Seven-bit lines of at most 998 characters that end in CRLF, no NUL: may travel as it is.
bool IsClean7bit(std::string_view bytes);

/// Writes header fields: folded at 78 where a blank allows it, never longer than 998 octets, ASCII
/// unless UTF-8 headers are allowed. CR, LF or NUL in a value is a broken invariant.
class HeaderWriter {
public:
    HeaderWriter(std::string& out, bool utf8) : out_(out), utf8_(utf8) {}

    /// Free text: encoded words when it is not plain ASCII.
    void Text(std::string_view name, std::string_view value);
    /// A field with a grammar of its own: left as it is while it is ASCII and fits.
    void Structured(std::string_view name, std::string_view value);
    void Address(std::string_view name, const Mailbox& mailbox);
    /// Nothing for an empty list.
    void Addresses(std::string_view name, const std::vector<Mailbox>& mailboxes);

    /// A structured field with parameters: Begin, Parameter…, End.
    void Begin(std::string_view name, std::string_view value);
    void Parameter(std::string_view name, std::string_view value);
    void End();

private:
    void Name(std::string_view name);
    void Words(std::string_view value);
    void EncodedWords(std::string_view value);
    void OneMailbox(const Mailbox& mailbox, bool is_last);
    void Fold();
    void Put(std::string_view piece);

    std::string& out_;
    const bool utf8_;
    size_t column_ = 0;
};

}  // namespace opensend::mime
