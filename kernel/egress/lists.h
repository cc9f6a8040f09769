#pragma once

#include <string_view>

namespace opensend::egress {

/// The registries (IANA, IPv4 and IPv6 special purpose) are covered up to allocations of this
/// month.
inline constexpr std::string_view kRegistryDate = "2025-04";

struct DeniedRange {
    std::string_view cidr;
    std::string_view why;
};

/// Ranges that no request goes to unless the operator lists them. Ranges inside a wider one stand
/// here too, so that the log names the narrower purpose when the registry drops the wider one.
inline constexpr DeniedRange kDeniedRanges[] = {
    {"0.0.0.0/8",          "this network"              },
    {"10.0.0.0/8",         "private use"               },
    {"100.64.0.0/10",      "shared address space"      },
    {"127.0.0.0/8",        "loopback"                  },
    {"169.254.0.0/16",     "link local"                },
    {"172.16.0.0/12",      "private use"               },
    {"192.0.0.0/24",       "IETF protocol assignments" },
    {"192.0.0.0/29",       "IPv4 service continuity"   },
    {"192.0.0.8/32",       "IPv4 dummy address"        },
    {"192.0.0.9/32",       "PCP anycast"               },
    {"192.0.0.10/32",      "TURN anycast"              },
    {"192.0.0.170/32",     "NAT64/DNS64 discovery"     },
    {"192.0.0.171/32",     "NAT64/DNS64 discovery"     },
    {"192.0.2.0/24",       "TEST-NET-1"                },
    {"192.31.196.0/24",    "AS112-v4"                  },
    {"192.52.193.0/24",    "AMT"                       },
    {"192.88.99.0/24",     "deprecated 6to4 relay"     },
    {"192.88.99.2/32",     "6a44 relay"                },
    {"192.168.0.0/16",     "private use"               },
    {"192.175.48.0/24",    "direct delegation AS112"   },
    {"198.18.0.0/15",      "benchmarking"              },
    {"198.51.100.0/24",    "TEST-NET-2"                },
    {"203.0.113.0/24",     "TEST-NET-3"                },
    {"224.0.0.0/4",        "multicast"                 },
    {"240.0.0.0/4",        "reserved"                  },
    {"255.255.255.255/32", "limited broadcast"         },
    {"168.63.129.16/32",   "cloud host agent"          },
    {"::/128",             "unspecified"               },
    {"::1/128",            "loopback"                  },
    {"::/96",              "deprecated IPv4-compatible"},
    {"::ffff:0:0/96",      "IPv4-mapped"               },
    {"64:ff9b::/96",       "NAT64"                     },
    {"64:ff9b:1::/48",     "local-use NAT64"           },
    {"100::/64",           "discard only"              },
    {"100:0:0:1::/64",     "dummy prefix"              },
    {"2001::/23",          "IETF protocol assignments" },
    {"2001::/32",          "Teredo"                    },
    {"2001:1::1/128",      "PCP anycast"               },
    {"2001:1::2/128",      "TURN anycast"              },
    {"2001:1::3/128",      "DNS-SD SRP anycast"        },
    {"2001:2::/48",        "benchmarking"              },
    {"2001:3::/32",        "AMT"                       },
    {"2001:4:112::/48",    "AS112-v6"                  },
    {"2001:10::/28",       "deprecated ORCHID"         },
    {"2001:20::/28",       "ORCHIDv2"                  },
    {"2001:30::/28",       "drone remote id"           },
    {"2001:db8::/32",      "documentation"             },
    {"2002::/16",          "6to4"                      },
    {"2620:4f:8000::/48",  "direct delegation AS112"   },
    {"3fff::/20",          "documentation"             },
    {"5f00::/16",          "segment routing SIDs"      },
    {"fc00::/7",           "unique local"              },
    {"fe80::/10",          "link local"                },
    {"fec0::/10",          "deprecated site local"     },
    {"ff00::/8",           "multicast"                 },
};

/// IPv6 destinations lie inside it.
inline constexpr std::string_view kGlobalUnicastV6 = "2000::/3";

inline constexpr std::string_view kLoopbackRanges[] = {"127.0.0.0/8", "::1/128"};

/// Ranges that an allow list cannot open: link local and metadata services, addresses that are no
/// destination, and IPv6 forms that stand for an IPv4 address.
inline constexpr std::string_view kNeverExempt[] = {
    "0.0.0.0/8",   "169.254.0.0/16",     "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
    "224.0.0.0/4", "255.255.255.255/32", "fe80::/10",        "fd00:ec2::254/128",  "ff00::/8",
    "::/128",      "::ffff:0:0/96",      "64:ff9b::/96",     "64:ff9b:1::/48",     "2001::/32",
    "2002::/16",
};
/// As kNeverExempt, except for ::1 inside it.
inline constexpr std::string_view kCompatibleV6 = "::/96";

inline constexpr std::string_view kBlockedNames[] = {"localhost", "metadata"};
inline constexpr std::string_view kBlockedSuffixes[] = {
    ".localhost", ".local",         ".internal", ".home.arpa", ".lan",
    ".intranet",  ".cluster.local", ".onion",    ".test",      ".invalid",
};
/// Mail ports stay closed for allow-listed destinations too.
inline constexpr int kNeverPorts[] = {25, 465, 587};

}  // namespace opensend::egress
