#include "kernel/plugin/load/gate.h"

#include <algorithm>
#include <utility>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "kernel/plugin/load/elf.h"
#include "kernel/plugin/load/open_file.h"
#include "kernel/plugin/load/requests.h"
#include "kernel/plugin/load/signing.h"
#include "kernel/plugin/scan/scan.h"

namespace opensend::plugin {
namespace {

constexpr size_t kMaxSignatureFile = 8192;

/// One file on its way. Each step answers what it found, or why the way ends.
class GateRun {
public:
    GateRun(const GateRequest& request, bool go_on)
        : request_(request),
          policy_(request.policy ? request.policy : std::make_shared<const GatePolicy>()),
          go_on_(go_on) {}

    void Run();
    const std::vector<GateStep>& steps() const { return steps_; }
    std::unique_ptr<PluginFile> TakeFile() { return std::move(file_); }

private:
    /// Writes a step down. True: the next one may follow.
    bool Add(const char* id, const Checked<std::string>& answer);
    bool Add(GateStep step);

    Checked<std::string> CheckName() const;
    Checked<std::string> Open();
    Checked<std::string> CheckOwner() const;
    Checked<std::string> Read();
    Checked<std::string> CheckPin() const;
    Checked<std::string> CheckSignature() const;
    Checked<std::string> ReadManifest();
    Checked<std::string> CheckGrants() const;
    bool CheckBytes();
    Checked<std::string> Scan() const;
    Checked<std::string> Seal();

    const GateRequest& request_;
    const std::shared_ptr<const GatePolicy> policy_;
    const bool go_on_;
    bool good_ = true;
    std::vector<GateStep> steps_;
    OpenedFile opened_;
    std::string bytes_, digest_;
    std::unique_ptr<PluginFile> file_;
};

bool GateRun::Add(GateStep step) {
    good_ = good_ && step.ok;
    steps_.push_back(std::move(step));
    return good_ || go_on_;
}

bool GateRun::Add(const char* id, const Checked<std::string>& answer) {
    if (answer.ok()) return Add(GateStep{id, true, {}, *answer});
    const Problem& problem = answer.error();
    return Add(GateStep{problem.step, false, problem.expected, problem.found});
}

Checked<std::string> GateRun::CheckName() const {
    if (request_.enabled.value_or(true)) return request_.name;
    return Refuse("name", "a name in plugins.enabled", request_.name);
}

Checked<std::string> GateRun::Open() {
    auto opened = OpenBelow(policy_->dir, request_.path);
    if (!opened.ok()) return base::Failure{opened.error()};
    opened_ = std::move(*opened);
    return request_.path;
}

Checked<std::string> GateRun::CheckOwner() const {
    if (auto problem = CheckOwners(opened_)) return base::Failure{std::move(*problem)};
    return std::string("nobody else may write");
}

Checked<std::string> GateRun::Read() {
    auto bytes = ReadContent(opened_.file.get());
    if (!bytes.ok()) return base::Failure{bytes.error()};
    bytes_ = std::move(*bytes);
    digest_ = crypto::Sha256(bytes_);
    return base::Cat(bytes_.size(), " bytes");
}

Checked<std::string> GateRun::CheckPin() const {
    std::string found = base::HexEncode(digest_);
    if (request_.sha256.empty() || base::EqualsIgnoreCase(found, request_.sha256)) return found;
    return Refuse("sha256", request_.sha256, std::move(found));
}

Checked<std::string> GateRun::CheckSignature() const {
    if (policy_->trusted_keys.empty()) return std::string("not asked for");
    if (!request_.sha256.empty()) return std::string("pinned instead");
    const std::string name = opened_.name + ".sig";
    const auto signature = ReadBeside(opened_, name, kMaxSignatureFile);
    if (!signature) return Refuse("signature", base::Cat("a file ", name), "none to be read");
    const auto note = ReadNote(bytes_);
    if (!note.ok()) return base::Failure{note.error()};
    const auto manifest = ParseManifest(note->json);
    if (!manifest.ok()) return base::Failure{manifest.error()};
    return FindSigner(
        *signature, SignedBytes(digest_, manifest->id, manifest->version), policy_->trusted_keys
    );
}

Checked<std::string> GateRun::ReadManifest() {
    const auto elf = CheckElf(bytes_);
    if (!elf.ok()) return base::Failure{elf.error()};
    auto note = ReadNote(bytes_);
    if (!note.ok()) return base::Failure{note.error()};
    auto manifest = ParseManifest(note->json);
    if (!manifest.ok()) return base::Failure{manifest.error()};
    for (const std::string& kind : manifest->kinds) {
        if (!IsKnownInterface(kind.substr(0, kind.find(':')), policy_->experimental))
            return Refuse("kinds", "an interface of this server", kind);
    }
    if (auto problem = CheckSchemas(note->json)) return base::Failure{std::move(*problem)};
    std::string found =
        base::Cat(manifest->id, " ", manifest->version, " ", base::Join(manifest->kinds, " "));
    file_ = std::make_unique<PluginFile>(opened_.file.Release());
    file_->SetDigest(base::HexEncode(digest_));
    file_->Describe(std::move(*note), std::move(*manifest));
    return found;
}

Checked<std::string> GateRun::CheckGrants() const {
    const auto requests = ReadGrantRequests(file_->note().json);
    if (!requests.ok()) return base::Failure{requests.error()};
    std::vector<std::string> shown;
    for (const GrantRequest& request : *requests)
        shown.push_back(base::Cat(request.name, " = ", request.value));
    const bool all_given = !request_.grants || (request_.grants->empty() &&
                                                IsShipped(request_.name, file_->manifest().id));
    if (!all_given) {
        if (auto problem = CompareGrants(*requests, *request_.grants, request_.name))
            return base::Failure{std::move(*problem)};
    }
    return shown.empty() ? std::string("none") : base::Join(shown, "; ");
}

bool GateRun::CheckBytes() {
    const auto facts = ReadElf(bytes_);
    if (!facts.ok()) return Add("elf", base::Failure{facts.error()});
    if (!Add("elf", std::string("a shared object for this machine"))) return false;
    for (GateStep& step : CheckHygiene(*facts, RulesHere(policy_->allowed_libraries))) {
        if (!Add(std::move(step))) return false;
    }
    return good_;
}

Checked<std::string> GateRun::Scan() const {
    auto answer = ScanOnce(*file_, *policy_);
    if (answer.ok() && !policy_->scan_program.empty()) file_->SetScanned();
    return answer;
}

Checked<std::string> GateRun::Seal() {
    if (!policy_->sealed) return std::string("not asked for");
    auto copy = SealedCopy(bytes_);
    if (!copy.ok()) return base::Failure{copy.error()};
    file_->Exchange(std::move(*copy));
    return std::string("a sealed copy");
}

void GateRun::Run() {
    if (!Add("name", CheckName())) return;
    if (!Add("open", Open()) || opened_.file.get() < 0) return;
    if (!Add("owner", CheckOwner())) return;
    if (!Add("size", Read()) || digest_.empty()) return;
    if (!Add("sha256", CheckPin())) return;
    if (!Add("signature", CheckSignature())) return;
    if (!Add("note", ReadManifest()) || !file_) return;
    if (!Add("grants", CheckGrants())) return;
    // What runs comes last, and only when there is nothing against it. It runs what was checked:
    // the sealed copy, if there is to be one.
    if (!CheckBytes()) return;
    const auto sealed = Seal();
    if (!sealed.ok()) {
        Add("seal", sealed);
        return;
    }
    if (Add("scan", Scan())) Add("seal", sealed);
}

}  // namespace

void PluginFile::Describe(Note note, Manifest manifest) {
    note_ = std::move(note);
    manifest_ = std::move(manifest);
}

void PluginFile::Exchange(Descriptor sealed) {
    Descriptor old(std::exchange(fd_, sealed.Release()));
}

PluginFile::~PluginFile() {
    if (!keep_) close(fd_);
}

Checked<std::unique_ptr<PluginFile>> PassGate(const GateRequest& request) {
    GateRun run(request, false);
    run.Run();
    for (const GateStep& step : run.steps()) {
        if (!step.ok) return Refuse(step.id, step.expected, step.found);
    }
    return run.TakeFile();
}

Checked<std::unique_ptr<PluginFile>> PassGate(const std::string& path, const std::string& sha256) {
    GateRequest request;
    request.name = path;
    request.path = path;
    request.sha256 = sha256;
    return PassGate(request);
}

Checked<std::unique_ptr<PluginFile>> TakeDescriptor(int fd) {
    auto file = std::make_unique<PluginFile>(fd);
    const auto bytes = ReadContent(fd);
    if (!bytes.ok()) return base::Failure{bytes.error()};
    auto note = ReadNote(*bytes);
    if (!note.ok()) return base::Failure{note.error()};
    auto manifest = ParseManifest(note->json);
    if (!manifest.ok()) return base::Failure{manifest.error()};
    file->Describe(std::move(*note), std::move(*manifest));
    return file;
}

std::vector<GateStep> RunGate(const GateRequest& request) {
    GateRun run(request, true);
    run.Run();
    return run.steps();
}

}  // namespace opensend::plugin
