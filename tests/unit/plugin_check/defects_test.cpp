// Each check is shown a plugin that does wrong what it looks for, and nothing else.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <ostream>
#include <vector>

#include <gmock/gmock.h>

#include <opensend/plugin.h>

#include "tests/unit/plugin_check/checks.h"

namespace opensend::plugin_check {
namespace {

/// `kind` does the wrong thing; `also` are the other ids that notice it, by themselves or because
/// the wrong cannot be done alone.
struct Row {
    const char* defect;
    const char* kind;
    std::vector<std::string> also{};
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.defect; }

/// Checks that take seconds are looked at where they are meant only.
const std::vector<std::string> kSlow = {
    "life.leak-threads", "life.leak-files", "life.leak-memory", "life.quiet-after-stop"};

std::string FamilyOf(const std::string& id) { return id.substr(0, id.find('.') + 1); }

class DefectTest : public testing::TestWithParam<Row> {};

TEST_P(DefectTest, IsFoundByItsCheckAlone) {
    const Row& row = GetParam();
    const Defect defect(row.defect);
    Options options;
    options.kind = row.kind;
    // What the file is has nothing to do with its calls, and the other way round.
    const std::string family = FamilyOf(row.defect);
    const std::set<std::string> of_the_file = {"load.", "entry.", "desc.", "kind."};
    const std::set<std::string> of_a_life = {"life.", "config.", "host."};
    if (of_the_file.count(family) != 0) options.only = {"load.", "entry.", "desc.", "kind."};
    if (of_a_life.count(family) != 0) options.only = {"kind.", "life.", "config.", "host."};
    options.skip = {"file.", "elf.", "note.", "manifest."};
    // Its thread dies of being unmapped, or has ended before, as chance has it.
    if (std::string_view(row.defect) == "load.threads") options.skip.push_back("load.unmaps");
    if (options.only.empty())
        options.skip.insert(options.skip.end(), of_the_file.begin(), of_the_file.end());
    for (const std::string& slow : kSlow)
        if (slow != row.defect) options.skip.push_back(slow);
    std::set<std::string> expected(row.also.begin(), row.also.end());
    expected.insert(row.defect);
#if defined(OPENSEND_SANITIZED)
    // A process for each check is slow here; that nothing else is found is seen in plain builds.
    options.only = {expected.begin(), expected.end()};
    options.skip.clear();
#endif
    const Report report = RunChecks(Built("plugins_bad/defect.so"), options);
    EXPECT_EQ(FailedIds(report), expected) << ReportText(report, false);
}

const Row kRows[] = {
    {"load.opens",              "defect_rate"                   },
    {"load.signals",            "defect_rate"                   },
    {"load.locale",             "defect_rate"                   },
    {"load.umask",              "defect_rate"                   },
    {"load.cwd",                "defect_rate"                   },
    {"load.environ",            "defect_rate"                   },
    {"load.rlimits",            "defect_rate"                   },
    {"load.files",              "defect_rate"                   },
    {"load.float",              "defect_rate"                   },
    {"load.threads",            "defect_rate"                   },
    {"load.fast",               "defect_rate"                   },
    {"entry.pure",              "defect_rate"                   },
    {"entry.memory",            "defect_rate"                   },
    {"entry.same",              "defect_rate",                    {"load.again", "entry.memory"}},
    {"desc.size",                         "defect_rate"                                              },
    {"desc.magic",                         "defect_rate"},
    {"desc.major",                         "defect_rate"                                              },
    {"desc.minors",                         "defect_rate"},
    {"desc.id",                         "defect_rate"                                                  },
    {"desc.version",                         "defect_rate"},
    {"desc.kinds",                         "defect_rate"                                                    },
    {"desc.load-twice",                         "defect_rate"},
    {"kind.slots",                         "defect"                                                         },
    {"kind.schema",                         "defect"},
    {"kind.schema-same",                         "defect"                                                    },
    {"life.create",                         "defect_rate"},
    {"life.create-quiet",                         "defect_rate",                                               {"life.threads-stop"}},
    {"life.leak-memory",    "defect_rate"},
    {"life.leak-files",         "defect_rate"                                                   },
    {"life.process",    "defect_rate"},
    {"life.two",         "defect_rate"                                                        },
    {"life.timers",    "defect_rate"},
    {"life.early-call",         "defect_rate"                                                             },
    {"life.drain-idle",    "defect_rate"},
    {"life.drain-busy",         "defect_auth"                                                                  },
    {"life.quiet-after-stop",    "defect_rate",{"life.threads-stop"}},
    {"life.health",         "defect_rate"                                                  },
    {"life.extensions",             "defect_rate"                       },
    {"config.empty",         "defect_rate"               },
    {"config.no-json",            "defect_rate"                      },
    {"config.no-object",          "defect_rate"                 },
    {"config.binary",        "defect_rate"                 },
    {"config.deep",           "defect_rate"                      },
    {"config.unknown-key",             "defect_rate"                     },
    {"config.required",      "defect_rate"            },
    {"config.secret-denied",         "defect_rate"                      },
    {"config.secret-missing",    "defect_rate"              },
    {"config.reconfigure",   "defect_rate"                  },
    {"host.newer",      "defect_rate"                      },
    {"host.bare",              "defect_rate"                           },
    {"call.longer",               "defect"                    },
    {"call.double-complete",             "defect"                      },
    {"call.stranger",    "defect"               },
    {"call.views-late",           "defect"                               },
    {"call.error-room",         "defect"                      },
    {"call.stride",         "defect"                        },
    {"call.result-size",             "defect"                            },
#if !defined(OPENSEND_SANITIZED)
    {"call.no-memory",        "defect"                   },
#endif
    {"call.memory",          "defect"                          },
    {"call.returns",             "defect_auth"                           },
    {"call.side-by-side",            "defect_auth"                  },
    {"transport.caps-flags",       "defect"              },
    {"transport.caps-same",    "defect"                     },
    {"transport.caps-short",     "defect"                         },
    {"transport.batch-over",    "defect"                       },
    {"transport.rcpt-index",    "defect"                        },
    {"transport.rcpt-all",    "defect"                        },
    {"transport.outcome",      "defect"                          },
    {"transport.codes",       "defect"                         },
    {"transport.no-rcpts",         "defect"                          },
    {"transport.null-sender",      "defect"                     },
    {"transport.no-data",   "defect"                     },
    {"transport.bytes",       "defect"                            },
    {"transport.rcpts-500",         "defect"                          },
    {"transport.past-deadline",     "defect"                    },
    {"transport.cancel", "defect"                    },
    {"transport.probe-time",        "defect"                               },
    {"auth.empty",    "defect_auth"                    },
    {"auth.garbage",              "defect_auth"                             },
    {"auth.huge",            "defect_auth"                 },
    {"auth.unsigned",               "defect_auth"                      },
    {"auth.schemes",           "defect_auth"               },
    {"auth.near-miss",            "defect_auth"                    },
    {"auth.genuine",          "defect_auth"                 },
    {"auth.allow-shape",            "defect_auth"                     },
    {"auth.decision",        "defect_auth"               },
    {"auth.store-down",           "defect_auth"                      },
    {"auth.invalidate",         "defect_auth"                 },
    {"auth.refused",         "defect_auth",                    {"auth.near-miss"}},
    {"rl.nothing",            "defect_rate"                      },
    {"rl.groups-apart",                         "defect_rate"                                             },
    {"rl.refund",                         "defect_rate"                  },
    {"rl.refund-floor",                         "defect_rate" },
    {"rl.huge",                         "defect_rate"                      },
    {"rl.peek",                         "defect_rate"                                               },
    {"rl.threads",                         "defect_rate"                          },
    {"rl.keys",                         "defect_rate",{"rl.gcra-vectors"}},
    {"rl.group-atomic",                         "defect_rate",                       {"rl.gcra-vectors"}},
    {"rl.gcra-vectors",      "defect_rate",                                        {"rl.gcra-random"}},
    {"rl.intact","defect_rate",{"call.error-room"}},
    {"in.empty",         "defect_in"                      },
    {"in.garbage",                         "defect_in"                                              },
    {"in.headers",      "defect_in"                                                           },
    {"in.methods",      "defect_in"               },
    {"in.tampered","defect_in"},
    {"in.replay",         "defect_in"},
    {"in.events",         "defect_in"                         },
    {"in.later",                         "defect_in"                                                                                 },
    {"in.refused",      "defect_in"                                                        },
    {"in.ingest-ends",      "defect_in"            },
    {"in.genuine","defect_in",{"in.refused"}},
    {"hyg.secret-log",         "defect"},
    {"hyg.secret-store",         "defect"                            },
    {"hyg.secret-answer",                         "defect"                                                                                                      },
    {"hyg.mail-log",          "defect"                         },
    {"hyg.log-rate",        "defect"                       },
    {"hyg.metrics",       "defect"      },
    {"hyg.silent",            "defect"                          },
};

INSTANTIATE_TEST_SUITE_P(Checks, DefectTest, testing::ValuesIn(kRows), [](const auto& tested) {
    std::string name = tested.param.defect;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_'
    );
    return name;
});

TEST(DefectsTest, EveryFamilyWithAPluginOfItsKindIsShownItsDefects) {
    std::set<std::string> families, shown = {"fault.", "file.", "elf.", "note.", "manifest."};
    for (const CatalogueEntry& entry : Catalogue()) families.insert(FamilyOf(entry.id));
    for (const Row& row : kRows) shown.insert(FamilyOf(row.defect));
    EXPECT_EQ(families, shown);
}

/// What the linker did wrong, and which checks see it.
struct LinkRow {
    const char* file;
    std::set<std::string> ids;
};
void PrintTo(const LinkRow& row, std::ostream* out) { *out << row.file; }
class LinkTest : public testing::TestWithParam<LinkRow> {};

TEST_P(LinkTest, IsFoundByItsCheckAlone) {
    Options options;
    options.only = {"elf.", "file.", "note.", "load.opens"};
    const Report report =
        RunChecks(Built(std::string("plugins_bad/bad_") + GetParam().file + ".so"), options);
    EXPECT_EQ(FailedIds(report), GetParam().ids) << ReportText(report, false);
}

INSTANTIATE_TEST_SUITE_P(
    Checks,
    LinkTest,
    testing::Values(
        LinkRow{
            "execstack", {"elf.stack"}
},
        LinkRow{"runpath", {"elf.rpath"}},
        LinkRow{"lazy", {"elf.now"}},
        LinkRow{"norelro", {"elf.relro"}},
        LinkRow{"textrel", {"elf.textrel"}},
        LinkRow{"export", {"elf.exports"}},
        LinkRow{"unique", {"elf.unique", "elf.exports"}},
        LinkRow{"undefined", {"load.opens"}},
        LinkRow{"no_note", {"note.one"}}
    ),
    [](const auto& tested) { return std::string(tested.param.file); }
);

/// A copy of the good plugin whose bytes can be changed.
class NoteTest : public testing::Test {
protected:
    NoteTest() {
        std::string name = (std::filesystem::temp_directory_path() / "opensend-note-XXXXXX");
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
        std::ifstream in(Built("plugins_bad/defect.so"), std::ios::binary);
        bytes_.assign((std::istreambuf_iterator<char>(in)), {});
        const osp_note_desc head{OSP_MAGIC, OSP_ABI_MAJOR, OSP_ABI_MINOR, 0, 0, 0};
        const std::string begin(
            static_cast<const char*>(static_cast<const void*>(&head)), sizeof head - 4
        );
        head_ = bytes_.find(begin + std::string(bytes_, bytes_.find(begin) + 12, 4) + "{\"id\"");
        EXPECT_NE(head_, std::string::npos);
    }
    ~NoteTest() override { std::filesystem::remove_all(folder_); }

    osp_note_desc Head() const {
        osp_note_desc head;
        std::memcpy(&head, bytes_.data() + head_, sizeof head);
        return head;
    }
    void Put(const osp_note_desc& head) { std::memcpy(bytes_.data() + head_, &head, sizeof head); }
    /// Both texts have the same length.
    void Exchange(const std::string& from, const std::string& to) {
        ASSERT_EQ(from.size(), to.size());
        const size_t at = bytes_.find(from, head_);
        ASSERT_NE(at, std::string::npos) << from;
        bytes_.replace(at, from.size(), to);
    }
    std::set<std::string> Found(mode_t mode = 0644) {
        const std::string path = (folder_ / "plugin.so").string();
        std::ofstream(path, std::ios::binary) << bytes_;
        chmod(path.c_str(), mode);
        Options options;
        options.only = {"file.", "note.", "manifest.", "elf."};
        report_ = RunChecks(path, options);
        return FailedIds(report_);
    }
    using Ids = std::set<std::string>;

    std::filesystem::path folder_;
    std::string bytes_;
    size_t head_ = 0;
    Report report_;
};

TEST_F(NoteTest, AGoodCopyPasses) { EXPECT_EQ(Found(), Ids{}) << ReportText(report_, false); }
TEST_F(NoteTest, AFileThatOthersMayWriteIsNotSafe) { EXPECT_EQ(Found(0666), Ids{"file.safe"}); }
TEST_F(NoteTest, AnotherKindOfFileIsNoObject) {
    bytes_ = "#!/bin/sh\n";
    EXPECT_EQ(Found(), Ids{"elf.object"});
}
TEST_F(NoteTest, AnotherMachineIsFound) {
    bytes_[18] = 8;
    EXPECT_EQ(Found(), Ids{"elf.object"});
}
TEST_F(NoteTest, AnotherMagicNumberIsFound) {
    auto head = Head();
    head.magic = 7;
    Put(head);
    EXPECT_EQ(Found(), Ids{"note.magic"});
}
TEST_F(NoteTest, AnotherMajorIsFound) {
    auto head = Head();
    head.abi_major = 2;
    Put(head);
    EXPECT_EQ(Found(), Ids{"note.major"});
}
TEST_F(NoteTest, AHostThatIsTooNewIsFound) {
    auto head = Head();
    head.min_host_minor = 9;
    Put(head);
    EXPECT_EQ(Found(), (Ids{"note.min-host", "manifest.min-host"}));
}
TEST_F(NoteTest, FlagsAreFound) {
    auto head = Head();
    head.flags = 1;
    Put(head);
    EXPECT_EQ(Found(), Ids{"note.flags"});
}
TEST_F(NoteTest, ALengthBehindTheNoteIsFound) {
    auto head = Head();
    head.json_len += 1000;
    Put(head);
    EXPECT_EQ(Found(), Ids{"note.complete"});
}
TEST_F(NoteTest, ALengthOverTheLimitIsFound) {
    auto head = Head();
    head.json_len = 100'000;
    Put(head);
    EXPECT_EQ(Found(), (Ids{"note.complete", "note.size"}));
}
TEST_F(NoteTest, BrokenJsonIsFound) {
    Exchange("{\"id\"", "{\"id?");
    EXPECT_EQ(Found(), Ids{"manifest.json"});
}
TEST_F(NoteTest, AnIdWithBlanksIsFound) {
    Exchange("\"test.defect\"", "\"test defect\"");
    EXPECT_EQ(Found(), Ids{"manifest.names"});
}
TEST_F(NoteTest, AnUnknownMemberIsFound) {
    Exchange("\"isolation\"", "\"isolated!\"");
    EXPECT_EQ(Found(), Ids{"manifest.members"});
}
TEST_F(NoteTest, AnUnknownIsolationIsFound) {
    Exchange("[\"inproc\"]", "[\"remote\"]");
    EXPECT_EQ(Found(), (Ids{"manifest.isolation", "manifest.names"}));
}
TEST_F(NoteTest, AnUnknownInterfaceIsFound) {
    Exchange("opensend.transport/1:defect", "opensend.transport/9:defect");
    EXPECT_EQ(Found(), Ids{"manifest.kinds-known"});
}
TEST_F(NoteTest, AnUnknownGrantIsFound) {
    Exchange("\"timers\":true", "\"tinder\":true");
    EXPECT_EQ(Found(), Ids{"manifest.grants"});
}
TEST_F(NoteTest, ADestinationWithoutTlsIsFound) {
    Exchange("https://api.example:443", "http://api.example:4430");
    EXPECT_EQ(Found(), Ids{"manifest.grants-http"});
}
TEST_F(NoteTest, ASchemaOfNoKindIsFound) {
    Exchange("{\"defect\":{\"type\"", "{\"defunc\":{\"type\"");
    EXPECT_EQ(Found(), Ids{"manifest.schema"});
}
TEST_F(NoteTest, AnotherSdkIsFound) {
    Exchange("\"sdk\":\"1.0.0\"", "\"sdk\":\"2.0.0\"");
    EXPECT_EQ(Found(), Ids{"manifest.sdk"});
}

}  // namespace
}  // namespace opensend::plugin_check
