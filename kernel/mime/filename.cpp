#include "kernel/mime/filename.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::mime {

namespace {

constexpr size_t kMaxFilename = 255;

struct TypeRow {
    std::string_view extension;
    std::string_view type;
};

// The first row of a type names the extension that is made up for it.
constexpr TypeRow kTypes[] = {
    {"7z",     "application/x-7z-compressed"                                              },
    {"aac",    "audio/aac"                                                                },
    {"ai",     "application/postscript"                                                   },
    {"avi",    "video/x-msvideo"                                                          },
    {"avif",   "image/avif"                                                               },
    {"bmp",    "image/bmp"                                                                },
    {"bz2",    "application/x-bzip2"                                                      },
    {"css",    "text/css"                                                                 },
    {"csv",    "text/csv"                                                                 },
    {"doc",    "application/msword"                                                       },
    {"docx",   "application/vnd.openxmlformats-officedocument.wordprocessingml.document"  },
    {"eml",    "message/rfc822"                                                           },
    {"epub",   "application/epub+zip"                                                     },
    {"flac",   "audio/flac"                                                               },
    {"gif",    "image/gif"                                                                },
    {"gz",     "application/gzip"                                                         },
    {"heic",   "image/heic"                                                               },
    {"html",   "text/html"                                                                },
    {"htm",    "text/html"                                                                },
    {"ico",    "image/vnd.microsoft.icon"                                                 },
    {"ics",    "text/calendar"                                                            },
    {"jpg",    "image/jpeg"                                                               },
    {"jpeg",   "image/jpeg"                                                               },
    {"json",   "application/json"                                                         },
    {"key",    "application/vnd.apple.keynote"                                            },
    {"log",    "text/plain"                                                               },
    {"m4a",    "audio/mp4"                                                                },
    {"md",     "text/markdown"                                                            },
    {"mkv",    "video/x-matroska"                                                         },
    {"mov",    "video/quicktime"                                                          },
    {"mp3",    "audio/mpeg"                                                               },
    {"mp4",    "video/mp4"                                                                },
    {"mpeg",   "video/mpeg"                                                               },
    {"msg",    "application/vnd.ms-outlook"                                               },
    {"odp",    "application/vnd.oasis.opendocument.presentation"                          },
    {"ods",    "application/vnd.oasis.opendocument.spreadsheet"                           },
    {"odt",    "application/vnd.oasis.opendocument.text"                                  },
    {"ogg",    "audio/ogg"                                                                },
    {"otf",    "font/otf"                                                                 },
    {"p7s",    "application/pkcs7-signature"                                              },
    {"pdf",    "application/pdf"                                                          },
    {"pkpass", "application/vnd.apple.pkpass"                                             },
    {"png",    "image/png"                                                                },
    {"ppt",    "application/vnd.ms-powerpoint"                                            },
    {"pptx",   "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"ps",     "application/postscript"                                                   },
    {"rar",    "application/vnd.rar"                                                      },
    {"rtf",    "application/rtf"                                                          },
    {"svg",    "image/svg+xml"                                                            },
    {"tar",    "application/x-tar"                                                        },
    {"tgz",    "application/gzip"                                                         },
    {"tif",    "image/tiff"                                                               },
    {"tiff",   "image/tiff"                                                               },
    {"tsv",    "text/tab-separated-values"                                                },
    {"ttf",    "font/ttf"                                                                 },
    {"txt",    "text/plain"                                                               },
    {"vcf",    "text/vcard"                                                               },
    {"wav",    "audio/wav"                                                                },
    {"weba",   "audio/webm"                                                               },
    {"webm",   "video/webm"                                                               },
    {"webp",   "image/webp"                                                               },
    {"woff",   "font/woff"                                                                },
    {"woff2",  "font/woff2"                                                               },
    {"xls",    "application/vnd.ms-excel"                                                 },
    {"xlsx",   "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"        },
    {"xml",    "application/xml"                                                          },
    {"yaml",   "application/yaml"                                                         },
    {"yml",    "application/yaml"                                                         },
    {"zip",    "application/zip"                                                          },
};

constexpr std::string_view kUnknownType = "application/octet-stream";

constexpr std::string_view kBlocked[] = {
    "adp",     "app",  "asp",  "bas", "bat", "cer",    "chm",  "cmd",  "com",    "cpl",
    "crt",     "csh",  "der",  "exe", "fxp", "gadget", "hlp",  "hta",  "inf",    "ins",
    "isp",     "its",  "js",   "jse", "ksh", "lib",    "lnk",  "mad",  "maf",    "mag",
    "mam",     "maq",  "mar",  "mas", "mat", "mau",    "mav",  "maw",  "mda",    "mdb",
    "mde",     "mdt",  "mdw",  "mdz", "msc", "msh",    "msh1", "msh2", "mshxml", "msh1xml",
    "msh2xml", "msi",  "msp",  "mst", "ops", "pcd",    "pif",  "plg",  "prf",    "prg",
    "reg",     "scf",  "scr",  "sct", "shb", "shs",    "sys",  "ps1",  "ps1xml", "ps2",
    "ps2xml",  "psc1", "psc2", "tmp", "url", "vb",     "vbe",  "vbs",  "vps",    "vsmacros",
    "vss",     "vst",  "vsw",  "vxd", "ws",  "wsc",    "wsf",  "wsh",  "xnk",
};

/// Lower case, without trailing dots and blanks; empty when there is none.
std::string ExtensionOf(std::string_view name) {
    const auto last = name.find_last_not_of(". \t");
    if (last == std::string_view::npos) return {};
    name = name.substr(0, last + 1);
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos ? std::string() : base::AsciiLower(name.substr(dot + 1));
}

bool IsControlPoint(uint32_t point) {
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 || point == 0x2029;
}

std::string_view FirstCodePoints(std::string_view text, size_t count) {
    size_t at = 0;
    while (count-- > 0 && at < text.size()) base::NextCodePoint(text, at);
    return text.substr(0, at);
}

}  // namespace

std::string CleanFilename(std::string_view name) {
    const auto slash = name.find_last_of("/\\");
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    std::string kept;
    for (size_t at = 0; at < name.size();) {
        const size_t from = at;
        const uint32_t point = base::NextCodePoint(name, at);
        const auto bytes = name.substr(from, at - from);
        if (IsControlPoint(point)) continue;
        kept += base::IsUtf8(bytes) ? bytes : std::string_view("\xEF\xBF\xBD");
    }
    const std::string clean(base::Trim(kept));
    if (clean.find_first_not_of(". ") == std::string::npos) return {};
    if (base::CountCodePoints(clean) <= kMaxFilename) return clean;
    const auto dot = clean.rfind('.');
    const std::string extension = dot == std::string::npos ? "" : clean.substr(dot);
    const size_t extension_points = base::CountCodePoints(extension);
    if (extension_points > 32) return std::string(FirstCodePoints(clean, kMaxFilename));
    return base::Cat(FirstCodePoints(clean, kMaxFilename - extension_points), extension);
}

bool IsBlockedFilename(std::string_view name) {
    const std::string extension = ExtensionOf(name);
    return std::find(std::begin(kBlocked), std::end(kBlocked), extension) != std::end(kBlocked);
}

std::string_view TypeForFilename(std::string_view name) {
    const std::string extension = ExtensionOf(name);
    for (const auto& row : kTypes) {
        if (row.extension == extension) return row.type;
    }
    return kUnknownType;
}

std::string_view ExtensionForType(std::string_view content_type) {
    const auto type = base::AsciiLower(base::Trim(content_type.substr(0, content_type.find(';'))));
    if (type == "text/plain") return "txt";
    if (type == "application/postscript") return "ps";
    for (const auto& row : kTypes) {
        if (row.type == type) return row.extension;
    }
    return "bin";
}

}  // namespace opensend::mime
