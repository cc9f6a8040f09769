#include "kernel/http/response_writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/base/text.h"
#include "kernel/base/time.h"

namespace opensend::http {
namespace {

constexpr std::pair<int, std::string_view> kReasons[] = {
    {200, "OK"                             },
    {201, "Created"                        },
    {202, "Accepted"                       },
    {204, "No Content"                     },
    {206, "Partial Content"                },
    {301, "Moved Permanently"              },
    {302, "Found"                          },
    {303, "See Other"                      },
    {304, "Not Modified"                   },
    {307, "Temporary Redirect"             },
    {308, "Permanent Redirect"             },
    {400, "Bad Request"                    },
    {401, "Unauthorized"                   },
    {403, "Forbidden"                      },
    {404, "Not Found"                      },
    {405, "Method Not Allowed"             },
    {406, "Not Acceptable"                 },
    {408, "Request Timeout"                },
    {409, "Conflict"                       },
    {410, "Gone"                           },
    {411, "Length Required"                },
    {412, "Precondition Failed"            },
    {413, "Content Too Large"              },
    {414, "URI Too Long"                   },
    {415, "Unsupported Media Type"         },
    {416, "Range Not Satisfiable"          },
    {417, "Expectation Failed"             },
    {421, "Misdirected Request"            },
    {422, "Unprocessable Content"          },
    {426, "Upgrade Required"               },
    {428, "Precondition Required"          },
    {429, "Too Many Requests"              },
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"  },
    {500, "Internal Server Error"          },
    {501, "Not Implemented"                },
    {502, "Bad Gateway"                    },
    {503, "Service Unavailable"            },
    {504, "Gateway Timeout"                },
};

void AppendTwoDigits(std::string& out, int value) {
    out += static_cast<char>('0' + value / 10);
    out += static_cast<char>('0' + value % 10);
}

bool IsOwnField(std::string_view name) {
    static constexpr std::string_view kOwn[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date", "Server",
    };
    return std::any_of(std::begin(kOwn), std::end(kOwn), [&](std::string_view own) {
        return own.size() == name.size() && base::EqualsIgnoreCase(own, name);
    });
}

}  // namespace

std::string_view ReasonPhrase(int status) {
    for (const auto& [code, phrase] : kReasons) {
        if (code == status) return phrase;
    }
    return "Status";
}

std::string FormatHttpDate(base::Time time) {
    static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                              "Thu", "Fri", "Sat"};
    static constexpr std::array<std::string_view, 12> kMonths = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const base::CivilTime civil = base::ToCivil(time);
    std::string out = base::Cat(kDays[static_cast<size_t>(base::Weekday(time))], ", ");
    AppendTwoDigits(out, civil.day);
    out += base::Cat(' ', kMonths[static_cast<size_t>(civil.month - 1)], ' ', civil.year, ' ');
    AppendTwoDigits(out, civil.hour);
    out += ':';
    AppendTwoDigits(out, civil.minute);
    out += ':';
    AppendTwoDigits(out, civil.second);
    out += " GMT";
    return out;
}

bool StatusHasBody(int status) { return status >= 200 && status != 204 && status != 304; }

std::string WriteHead(const Response& response, const HeadFacts& facts) {
    std::string out;
    out.reserve(256);
    base::AppendPiece(out, "HTTP/1.1 ");
    base::AppendPiece(out, response.status);
    base::AppendPiece(out, ' ');
    base::AppendPiece(out, ReasonPhrase(response.status));
    base::AppendPiece(out, "\r\nDate: ");
    base::AppendPiece(out, facts.date);
    base::AppendPiece(out, "\r\n");
    for (const auto& [name, value] : response.headers.all()) {
        if (IsOwnField(name)) continue;
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    }
    if (StatusHasBody(response.status)) {
        out += "Content-Length: ";
        base::AppendPiece(out, response.body.size());
        out += "\r\n";
    }
    if (!facts.keep_alive) {
        out += "Connection: close\r\n";
    } else if (facts.request_version_minor == 0) {
        out += "Connection: keep-alive\r\n";
    }
    out += "\r\n";
    return out;
}

}  // namespace opensend::http
