#include <algorithm>
#include <cstring>
#include <set>

#include <opensend/plugin.h>

#include "kernel/plugin/check/trial.h"
#include "kernel/plugin/load/gate.h"
#include "kernel/plugin/load/note.h"

namespace opensend::plugin_check {
namespace note_family {
namespace {

template <class T>
void RequireOk(const plugin::Checked<T>& result) {
    if (!result.ok()) throw Failed{plugin::Describe("file", result.error())};
}

std::string_view OneNote(const Trial& trial) {
    if (!plugin::CheckElf(trial.target.bytes).ok()) throw NotHere{"needs elf.object"};
    const auto notes = plugin::NoteDescriptions(trial.target.bytes);
    if (notes.size() != 1) throw NotHere{"needs note.one"};
    return notes.front();
}

osp_note_desc HeadOf(const Trial& trial) {
    const std::string_view text = OneNote(trial);
    if (text.size() < sizeof(osp_note_desc)) throw NotHere{"needs note.head"};
    osp_note_desc head;
    std::memcpy(&head, text.data(), sizeof head);
    return head;
}

std::string TextOf(const Trial& trial) {
    const osp_note_desc head = HeadOf(trial);
    const std::string_view text = OneNote(trial);
    if (head.json_len > text.size() - sizeof head) throw NotHere{"needs note.complete"};
    return std::string(text.substr(sizeof head, head.json_len));
}

json::Document Parsed(const Trial& trial) {
    auto document = json::Document::Parse(TextOf(trial));
    if (!document.ok()) throw NotHere{"needs manifest.json"};
    return std::move(*document);
}

void Folder(Trial& trial) {
    const auto file = plugin::PassGate(trial.target.path, {});
    if (file.ok()) return;
    const std::string& step = file.error().step;
    // The other steps have checks of their own.
    if (step != "open" && step != "file" && step != "folder" && step != "size") return;
    throw Failed{plugin::Describe("file", file.error())};
}

void ElfObject(Trial& trial) { RequireOk(plugin::CheckElf(trial.target.bytes)); }

void NoteOne(Trial& trial) {
    if (!plugin::CheckElf(trial.target.bytes).ok()) throw NotHere{"needs elf.object"};
    const size_t n = plugin::NoteDescriptions(trial.target.bytes).size();
    Require(n == 1, base::Cat("there are ", n));
}
void NoteHead(Trial& trial) {
    Require(OneNote(trial).size() >= sizeof(osp_note_desc), "it is shorter than its head");
}
void NoteMagic(Trial& trial) { Require(HeadOf(trial).magic == OSP_MAGIC, "another number"); }
void NoteMajor(Trial& trial) {
    const unsigned major = HeadOf(trial).abi_major;
    Require(major == OSP_ABI_MAJOR, base::Cat("it is ", major));
}
void NoteHostMinor(Trial& trial) {
    const unsigned minor = HeadOf(trial).min_host_minor;
    Require(minor <= OSP_ABI_MINOR, base::Cat("it wants 1.", minor));
}
void NoteComplete(Trial& trial) {
    const size_t room = OneNote(trial).size() - sizeof(osp_note_desc);
    const uint32_t length = HeadOf(trial).json_len;
    Require(length <= room, base::Cat("json_len is ", length, ", there are ", room, " bytes"));
}
void NoteSize(Trial& trial) {
    const uint32_t length = HeadOf(trial).json_len;
    Require(length <= 65536, base::Cat("it has ", length, " bytes"));
}
void NoteFlags(Trial& trial) { Require(HeadOf(trial).flags == 0, "flags are not zero"); }

void ManifestJson(Trial& trial) {
    const auto document = json::Document::Parse(TextOf(trial));
    Require(document.ok(), document.ok() ? "" : document.error().reason);
    Require(document->root().IsObject(), "it is no object");
}
void ManifestNames(Trial& trial) {
    Parsed(trial);
    RequireOk(plugin::ParseManifest(TextOf(trial)));
}
void ManifestKnown(Trial& trial) {
    static const std::set<std::string_view> kKnown = {
        "id",       "version",  "sdk",       "license", "homepage",
        "kinds",    "min_host", "isolation", "grants",  "config_schema",
        "defaults", "check",    "name",      "vendor",  "description"};
    const auto document = Parsed(trial);
    for (size_t i = 0; i < document.root().size(); ++i) {
        const std::string_view name = document.root().NameAt(i);
        Require(kKnown.count(name) != 0, base::Cat("unknown member ", name));
    }
}

std::vector<std::string> KindsOf(const json::Value& root) {
    std::vector<std::string> kinds;
    const json::Value list = root.Find("kinds");
    for (size_t i = 0; list.IsArray() && i < list.size(); ++i) {
        if (list.At(i).IsString()) kinds.emplace_back(list.At(i).AsString());
    }
    return kinds;
}

void KindsKnown(Trial& trial) {
    static const std::set<std::string_view> kInterfaces = {
        OSP_KIND_TRANSPORT, OSP_KIND_AUTH, OSP_KIND_RATELIMIT, OSP_KIND_INBOUND, OSP_KIND_LISTENER};
    const auto document = Parsed(trial);
    for (const std::string& kind : KindsOf(document.root())) {
        const std::string_view iface = std::string_view(kind).substr(0, kind.find(':'));
        Require(
            kInterfaces.count(iface) != 0 || iface.substr(0, 2) == "x-", base::Cat("unknown ", kind)
        );
    }
}
void KindsOnce(Trial& trial) {
    const auto document = Parsed(trial);
    std::set<std::string> seen;
    for (const std::string& kind : KindsOf(document.root()))
        Require(seen.insert(kind).second, base::Cat(kind, " stands twice"));
}
void SdkVersion(Trial& trial) {
    const auto document = Parsed(trial);
    const json::Value sdk = document.root().Find("sdk");
    if (sdk.IsMissing()) throw NotHere{"the manifest has no sdk"};
    Require(sdk.IsString() && sdk.AsString().substr(0, 2) == "1.", "it is not of major 1");
}
void MinHost(Trial& trial) {
    const auto document = Parsed(trial);
    const json::Value text = document.root().Find("min_host");
    if (text.IsMissing()) throw NotHere{"the manifest has no min_host"};
    const std::string expected = base::Cat("1.", HeadOf(trial).min_host_minor);
    Require(text.IsString() && text.AsString() == expected, base::Cat("the note says ", expected));
}
void GrantsKnown(Trial& trial) {
    static const std::set<std::string_view> kKnown = {"http",        "secrets", "kv",     "timers",
                                                      "threads",     "net",     "events", "ingest",
                                                      "credentials", "metrics", "blob"};
    const auto document = Parsed(trial);
    const json::Value grants = document.root().Find("grants");
    if (grants.IsMissing()) throw NotHere{"it asks for nothing"};
    Require(grants.IsObject(), "grants is no object");
    for (size_t i = 0; i < grants.size(); ++i)
        Require(kKnown.count(grants.NameAt(i)) != 0, base::Cat("unknown grant ", grants.NameAt(i)));
}
void GrantsHttp(Trial& trial) {
    const auto document = Parsed(trial);
    const json::Value list = document.root().Find("grants").Find("http");
    if (list.IsMissing()) throw NotHere{"it asks for no HTTP"};
    Require(list.IsArray(), "grants.http is no list");
    for (size_t i = 0; i < list.size(); ++i) {
        const bool text = list.At(i).IsString();
        const std::string_view url = text ? list.At(i).AsString() : "";
        Require(url.rfind("https://", 0) == 0 && url.size() > 8, "each wants to be https://host");
        Require(url.find('*') == std::string_view::npos, "a destination has no wildcard");
    }
}
void Isolation(Trial& trial) {
    const auto document = Parsed(trial);
    const json::Value list = document.root().Find("isolation");
    if (list.IsMissing()) throw NotHere{"the manifest has no isolation"};
    Require(list.IsArray() && list.size() > 0, "it is no list");
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string_view word = list.At(i).IsString() ? list.At(i).AsString() : "";
        Require(word == "worker" || word == "inproc", "only worker and inproc exist");
    }
}
void Schemas(Trial& trial) {
    const auto document = Parsed(trial);
    const json::Value schemas = document.root().Find("config_schema");
    if (schemas.IsMissing()) throw NotHere{"the manifest has no config_schema"};
    std::set<std::string> names;
    for (const std::string& kind : KindsOf(document.root()))
        names.insert(kind.substr(kind.find(':') + 1));
    for (size_t i = 0; i < schemas.size(); ++i) {
        Require(names.count(std::string(schemas.NameAt(i))) != 0, "a schema of no kind");
        Require(schemas.MemberAt(i).IsObject(), "a schema is an object");
    }
    Require(schemas.IsObject(), "config_schema is no object");
}
void NoSecretDefaults(Trial& trial) {
    const auto document = Parsed(trial);
    const json::Value schemas = document.root().Find("config_schema");
    for (size_t i = 0; schemas.IsObject() && i < schemas.size(); ++i) {
        const json::Value properties = schemas.MemberAt(i).Find("properties");
        for (size_t k = 0; properties.IsObject() && k < properties.size(); ++k) {
            const json::Value one = properties.MemberAt(k);
            const json::Value ref = one.Find("$ref");
            if (!ref.IsString() || ref.AsString() != "opensend:secret") continue;
            Require(
                one.Find("default").IsMissing(), base::Cat(properties.NameAt(k), " has a default")
            );
        }
    }
}

constexpr Check kStatic[] = {
    {"file.safe",               "", "Nobody else can change the file or its folder",
     "chmod go-w on the file and its folder; no symbolic link",                                                                 Folder          },
    {"elf.object",              "", "A shared object for this machine, complete",
     "link with -shared on the machine type of the server",                                                                     ElfObject       },
    {"note.one",                "", "There is one note .note.opensend",                  "OSP_MANIFEST once per shared object",
     NoteOne                                                                                                                                    },
    {"note.head",               "", "The note begins with its head",
     "use OSP_MANIFEST or the layout of osp_note_desc",                                                                         NoteHead        },
    {"note.magic",              "", "The note's magic number is OSP1",                   "write OSP_MAGIC",                     NoteMagic       },
    {"note.major",              "", "The note's ABI major is this server's",
     "compile with the header of major 1",                                                                                      NoteMajor       },
    {"note.min-host",           "", "The note asks for no newer host than this one",
     "lower min_host_minor, or update the server",                                                                              NoteHostMinor   },
    {"note.complete",           "", "The manifest lies within the note",
     "json_len counts the bytes of the text",                                                                                   NoteComplete    },
    {"note.size",               "", "The manifest has at most 64 KB",                    "shorten the schema or the texts",
     NoteSize                                                                                                                                   },
    {"note.flags",              "", "Reserved bits of the note are zero",                "write 0 to flags",                    NoteFlags       },
    {"manifest.json",           "", "The manifest is a JSON object",                     "check quotes and commas",             ManifestJson    },
    {"manifest.names",          "", "id, version and kinds are there and plain",
     "letters, digits and .-_+ only; kinds as interface/1:name",                                                                ManifestNames   },
    {"manifest.members",        "", "The manifest has members that mean something only",
     "remove or correct the unknown member",                                                                                    ManifestKnown   },
    {"manifest.kinds-known",    "", "Every interface is one of this server",             "use the OSP_KIND_ names",
     KindsKnown                                                                                                                                 },
    {"manifest.kinds-once",     "", "Every kind is named once",                          "remove the repetition",               KindsOnce       },
    {"manifest.sdk",            "", "The SDK version is of major 1",                     "\"sdk\":\"1.0.0\"",                   SdkVersion      },
    {"manifest.min-host",       "", "min_host equals the note's",                        "\"min_host\":\"1.<min_host_minor>\"",
     MinHost                                                                                                                                    },
    {"manifest.grants",         "", "Only grants that exist are asked for",
     "http, secrets, kv, timers, threads, net, events, ingest, credentials",                                                    GrantsKnown     },
    {"manifest.grants-http",    "", "HTTP destinations are exact and encrypted",
     "https://host or https://host:port",                                                                                       GrantsHttp      },
    {"manifest.isolation",      "", "isolation lists worker and inproc",                 "[\"worker\",\"inproc\"]",
     Isolation                                                                                                                                  },
    {"manifest.schema",         "", "Configuration schemas belong to kinds",
     "config_schema.<kind name> is an object",                                                                                  Schemas         },
    {"manifest.secret-default", "", "No secret has a default",
     "remove the default beside opensend:secret",                                                                               NoSecretDefaults},
};

}  // namespace
}  // namespace note_family

std::span<const Check> NoteChecks() { return note_family::kStatic; }

}  // namespace opensend::plugin_check
