#include "kernel/http/client_address.h"

#include <utility>

#include <gtest/gtest.h>

namespace opensend::http {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string Client(const char* peer, const Fields& fields) {
    Headers headers;
    for (const auto& [name, value] : fields) headers.Add(name, value);
    const std::vector<base::Cidr> trusted = {
        *base::ParseCidr("10.0.0.0/8"), *base::ParseCidr("fd00::/8")};
    return ClientAddress(*base::ParseIp(peer), headers, trusted).ToString();
}

TEST(ClientAddress, IsThePeerWhenNobodyTrustsIt) {
    EXPECT_EQ(Client("192.0.2.1", {}), "192.0.2.1");
    EXPECT_EQ(
        Client(
            "192.0.2.1",
            {
                {"X-Forwarded-For", "198.51.100.7"}
    }
        ),
        "192.0.2.1"
    );
    EXPECT_EQ(
        Client(
            "192.0.2.1",
            {
                {"Forwarded", "for=198.51.100.7"}
    }
        ),
        "192.0.2.1"
    );
    EXPECT_EQ(
        Client(
            "192.0.2.1",
            {
                {"X-Real-IP", "198.51.100.7"}
    }
        ),
        "192.0.2.1"
    );
    EXPECT_EQ(Client("10.0.0.1", {}), "10.0.0.1");
}

TEST(ClientAddress, WalksTheChainFromTheRight) {
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"198.51.100.7",                     "198.51.100.7"},
        {"1.1.1.1, 198.51.100.7",            "198.51.100.7"},
        {"198.51.100.7, 10.0.0.2",           "198.51.100.7"},
        {"198.51.100.7, 10.0.0.3,10.0.0.2",  "198.51.100.7"},
        {"10.0.0.3, 10.0.0.2",               "10.0.0.3"    },
        {"198.51.100.7:1234",                "198.51.100.7"},
        {"[2001:db8::1]:443",                "2001:db8::1" },
        {"[2001:db8::1]",                    "2001:db8::1" },
        {"2001:db8::1",                      "2001:db8::1" },
        {"198.51.100.7, fd00::1",            "198.51.100.7"},
        {"198.51.100.7, nonsense, 10.0.0.2", "10.0.0.2"    },
        {"nonsense",                         "10.0.0.1"    },
        {"198.51.100.7:port",                "10.0.0.1"    },
        {"198.51.100.7,",                    "10.0.0.1"    },
        {"",                                 "10.0.0.1"    },
    };
    for (const auto& [chain, client] : rows) {
        EXPECT_EQ(
            Client(
                "10.0.0.1",
                {
                    {"X-Forwarded-For", chain}
        }
            ),
            client
        ) << chain;
    }
}

TEST(ClientAddress, JoinsSeveralLines) {
    EXPECT_EQ(
        Client(
            "10.0.0.1",
            {
                {"X-Forwarded-For", "198.51.100.7"},
                {"x-forwarded-for", "10.0.0.2"    }
    }
        ),
        "198.51.100.7"
    );
}

TEST(ClientAddress, OtherFieldsCountOnlyWithoutXForwardedFor) {
    EXPECT_EQ(
        Client(
            "10.0.0.1",
            {
                {"X-Forwarded-For", "x"          },
                {"Forwarded",       "for=1.1.1.1"}
    }
        ),
        "10.0.0.1"
    );
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"for=198.51.100.7",                           "198.51.100.7"},
        {"for=198.51.100.7;proto=https, For=10.0.0.2", "198.51.100.7"},
        {"proto=http;for=\"[2001:db8::1]:99\"",        "2001:db8::1" },
        {"for=\"1.1.1.1, for=2.2.2.2\"",               "10.0.0.1"    },
        {"for=unknown",                                "10.0.0.1"    },
        {"for=198.51.100.7, for=_hidden",              "10.0.0.1"    },
    };
    for (const auto& [value, client] : rows) {
        EXPECT_EQ(
            Client(
                "10.0.0.1",
                {
                    {"Forwarded", value}
        }
            ),
            client
        ) << value;
    }
    EXPECT_EQ(
        Client(
            "10.0.0.1",
            {
                {"X-Real-IP", "[2001:db8::1]"}
    }
        ),
        "2001:db8::1"
    );
    EXPECT_EQ(
        Client(
            "10.0.0.1",
            {
                {"X-Real-IP", "?"}
    }
        ),
        "10.0.0.1"
    );
    EXPECT_EQ(
        Client(
            "10.0.0.1",
            {
                {"X-Real-IP", "1.1.1.1"},
                {"X-Real-IP", "2.2.2.2"}
    }
        ),
        "10.0.0.1"
    );
}

}  // namespace
}  // namespace opensend::http
