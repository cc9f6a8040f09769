#include "kernel/plugin/load/note.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include <opensend/plugin.h>

#include "kernel/json/value.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxManifest = 64 * 1024;
constexpr size_t kMaxHeaders = 1024;
constexpr std::string_view kNoteOwner("OSP\0", 4);
#if defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
constexpr uint16_t kMachine = EM_X86_64;
#endif

/// A copy of a T at `offset`; nullopt when it does not lie within the bytes.
template <class T>
std::optional<T> ReadAt(std::string_view bytes, uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::optional<std::string_view> SliceAt(std::string_view bytes, uint64_t offset, uint64_t length) {
    if (offset > bytes.size() || bytes.size() - offset < length) return std::nullopt;
    return bytes.substr(offset, length);
}

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/// All descriptions of our note among the entries of one note segment or section.
void CollectNotes(std::string_view area, uint64_t align, std::vector<std::string_view>& out) {
    const uint64_t unit = align == 8 ? 8 : 4;
    uint64_t at = 0;
    while (const auto header = ReadAt<Elf64_Nhdr>(area, at)) {
        const uint64_t name_at = at + sizeof *header;
        const uint64_t desc_at = RoundUp(name_at + header->n_namesz, unit);
        const auto name = SliceAt(area, name_at, header->n_namesz);
        const auto desc = SliceAt(area, desc_at, header->n_descsz);
        if (!name || !desc) return;
        if (*name == kNoteOwner && header->n_type == OSP_NOTE_TYPE) out.push_back(*desc);
        at = RoundUp(desc_at + header->n_descsz, unit);
    }
}

std::vector<std::string_view> FindNotes(std::string_view file, const Elf64_Ehdr& elf) {
    std::vector<std::string_view> found;
    for (uint64_t i = 0; i < elf.e_phnum; ++i) {
        const auto segment = ReadAt<Elf64_Phdr>(file, elf.e_phoff + i * sizeof(Elf64_Phdr));
        if (!segment || segment->p_type != PT_NOTE) continue;
        const auto area = SliceAt(file, segment->p_offset, segment->p_filesz);
        if (area) CollectNotes(*area, segment->p_align, found);
    }
    if (!found.empty()) return found;
    for (uint64_t i = 0; i < elf.e_shnum; ++i) {
        const auto section = ReadAt<Elf64_Shdr>(file, elf.e_shoff + i * sizeof(Elf64_Shdr));
        if (!section || section->sh_type != SHT_NOTE) continue;
        const auto area = SliceAt(file, section->sh_offset, section->sh_size);
        if (area) CollectNotes(*area, section->sh_addralign, found);
    }
    return found;
}

/// Both header tables and the bytes of every segment are there: mapping a shorter file would fault.
std::optional<Problem> CheckExtent(std::string_view file, const Elf64_Ehdr& elf) {
    const auto bad = [](std::string expected, std::string found) {
        return Problem{"elf", std::move(expected), std::move(found)};
    };
    if (elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phnum == 0 || elf.e_phnum > kMaxHeaders)
        return bad("program headers", base::Cat(elf.e_phnum, " of size ", elf.e_phentsize));
    if (!SliceAt(file, elf.e_phoff, uint64_t{elf.e_phnum} * sizeof(Elf64_Phdr)))
        return bad("a complete file", "program headers behind its end");
    if (elf.e_shnum != 0 && elf.e_shentsize != sizeof(Elf64_Shdr))
        return bad("section headers of 64 bytes", base::Cat(elf.e_shentsize, " bytes"));
    if (!SliceAt(file, elf.e_shoff, uint64_t{elf.e_shnum} * sizeof(Elf64_Shdr)))
        return bad("a complete file", "section headers behind its end");
    bool loads = false;
    for (uint64_t i = 0; i < elf.e_phnum; ++i) {
        const auto segment = ReadAt<Elf64_Phdr>(file, elf.e_phoff + i * sizeof(Elf64_Phdr));
        if (!segment) return bad("a complete file", "a program header behind its end");
        if (!SliceAt(file, segment->p_offset, segment->p_filesz))
            return bad("a complete file", "a segment behind its end");
        if (segment->p_type == PT_LOAD) {
            loads = true;
            if (segment->p_memsz < segment->p_filesz)
                return bad("segments with room for their bytes", "a smaller one");
        }
    }
    if (!loads) return bad("something to load", "no such segment");
    return std::nullopt;
}

Problem BadManifest(std::string expected, std::string found) {
    return {"manifest", std::move(expected), std::move(found)};
}

/// Letters, digits and ".-_+", 1 to 128 of them: safe to show and to compare.
bool IsPlainName(std::string_view text) {
    if (text.empty() || text.size() > 128) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_' || c == '+';
    });
}

bool IsKind(std::string_view text) {
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos || text.size() > 200) return false;
    const std::string_view iface = text.substr(0, colon), name = text.substr(colon + 1);
    const size_t slash = iface.find('/');
    if (slash == std::string_view::npos || !IsPlainName(iface.substr(0, slash))) return false;
    if (!base::ParseInt(iface.substr(slash + 1))) return false;
    for (const std::string_view part : base::Split(name, '/')) {
        if (!IsPlainName(part)) return false;
    }
    return true;
}

}  // namespace

Checked<bool> CheckElf(std::string_view file) {
    const auto elf = ReadAt<Elf64_Ehdr>(file, 0);
    if (!elf || std::memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0)
        return Refuse("elf", "a shared object", "another kind of file");
    if (elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_ident[EI_DATA] != ELFDATA2LSB)
        return Refuse("elf", "64 bits, little-endian", "another layout");
    if (elf->e_type != ET_DYN)
        return Refuse("elf", "a shared object", base::Cat("file type ", elf->e_type));
    if (elf->e_machine != kMachine)
        return Refuse(
            "elf", base::Cat("machine ", kMachine), base::Cat("machine ", elf->e_machine)
        );
    if (auto problem = CheckExtent(file, *elf)) return base::Failure{std::move(*problem)};
    return true;
}

std::vector<std::string_view> NoteDescriptions(std::string_view file) {
    const auto elf = ReadAt<Elf64_Ehdr>(file, 0);
    return elf ? FindNotes(file, *elf) : std::vector<std::string_view>();
}

Checked<Note> ReadNote(std::string_view file) {
    const auto elf = ReadAt<Elf64_Ehdr>(file, 0);
    if (!elf) return Refuse("note", "a shared object", "too few bytes");
    const auto notes = FindNotes(file, *elf);
    if (notes.size() != 1)
        return Refuse("note", "one note .note.opensend", base::Cat(notes.size(), " of them"));
    const std::string_view text = notes.front();
    const auto desc = ReadAt<osp_note_desc>(text, 0);
    if (!desc) return Refuse("note", "16 bytes before the manifest", "fewer");
    if (desc->magic != OSP_MAGIC) return Refuse("note", "the magic number OSP1", "another one");
    if (desc->abi_major != OSP_ABI_MAJOR)
        return Refuse(
            "note", base::Cat("ABI major ", OSP_ABI_MAJOR), base::Cat("major ", desc->abi_major)
        );
    if (desc->min_host_minor > OSP_ABI_MINOR)
        return Refuse(
            "note", base::Cat("a plugin for hosts up to 1.", OSP_ABI_MINOR),
            base::Cat("one that needs 1.", desc->min_host_minor)
        );
    if (desc->json_len > kMaxManifest)
        return Refuse("note", "a manifest of at most 64 KB", base::Cat(desc->json_len, " bytes"));
    const auto json = SliceAt(text, sizeof *desc, desc->json_len);
    if (!json) return Refuse("note", "a complete manifest", "a shorter note");
    return Note{desc->abi_major, desc->abi_minor, desc->min_host_minor, std::string(*json)};
}

Checked<Manifest> ParseManifest(std::string_view json) {
    const auto document = json::Document::Parse(json);
    if (!document.ok()) return base::Failure{BadManifest("JSON", document.error().reason)};
    const json::Value root = document->root();
    Manifest manifest;
    const std::pair<const char*, std::string*> names[] = {
        {"id",      &manifest.id     },
        {"version", &manifest.version}
    };
    for (const auto& [name, target] : names) {
        const json::Value value = root.Find(name);
        if (!value.IsString() || !IsPlainName(value.AsString()))
            return base::Failure{BadManifest(base::Cat("a plain text \"", name, "\""), "none")};
        *target = value.AsString();
    }
    const json::Value kinds = root.Find("kinds");
    if (!kinds.IsArray() || kinds.size() == 0 || kinds.size() > 32)
        return base::Failure{BadManifest("1 to 32 \"kinds\"", base::Cat(kinds.size()))};
    for (size_t i = 0; i < kinds.size(); ++i) {
        const json::Value kind = kinds.At(i);
        if (!kind.IsString() || !IsKind(kind.AsString()))
            return base::Failure{BadManifest("kinds like \"interface/1:name\"", "another text")};
        manifest.kinds.emplace_back(kind.AsString());
    }
    const json::Value places = root.Find("isolation");
    if (places.IsMissing()) return manifest;
    for (size_t i = 0; places.IsArray() && i < places.size(); ++i) {
        const json::Value place = places.At(i);
        const bool known =
            place.IsString() && (place.AsString() == "inproc" || place.AsString() == "worker");
        if (known) manifest.isolation.emplace_back(place.AsString());
    }
    if (!places.IsArray() || manifest.isolation.empty() ||
        manifest.isolation.size() != places.size())
        return base::Failure{
            BadManifest("\"isolation\" with \"inproc\", \"worker\" or both", "another value")};
    return manifest;
}

}  // namespace opensend::plugin
