#include <filesystem>
#include <iostream>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/cli/plugins/plugin_tools.h"
#include "kernel/crypto/signature.h"
#include "kernel/plugin/load/signing.h"

namespace opensend::cli {
namespace {

constexpr std::string_view kPemBegin = "-----BEGIN PRIVATE KEY-----";
constexpr std::string_view kPemEnd = "-----END PRIVATE KEY-----";
constexpr size_t kPemLine = 64;

struct SigningFlags {
    std::string file, key;
    bool force = false;
};

base::Secret ToPem(const base::Secret& der) {
    const std::string text = base::Base64Encode(der.Reveal());
    std::string pem = base::Cat(kPemBegin, '\n');
    for (size_t at = 0; at < text.size(); at += kPemLine)
        pem += base::Cat(text.substr(at, kPemLine), '\n');
    return base::Secret(base::Cat(pem, kPemEnd, '\n'));
}

crypto::SigningKey ReadPrivateKey(const std::string& path) {
    const auto refuse = [&](std::string_view why) {
        return base::Error(base::ErrorCode::kApplication, base::Cat(path, ": ", why));
    };
    const base::Secret text(ReadSmallFile(path));
    const size_t begin = text.Reveal().find(kPemBegin), end = text.Reveal().find(kPemEnd);
    if (begin == std::string::npos || end == std::string::npos || end < begin)
        throw refuse("no private key in PEM");
    const size_t from = begin + kPemBegin.size();
    const auto der = base::Base64DecodeLenient(text.Reveal().substr(from, end - from));
    if (!der) throw refuse("no private key in PEM");
    auto key = crypto::SigningKey::FromPkcs8(base::Secret(*der));
    if (!key.ok()) throw refuse(key.error());
    if (key->kind() != crypto::SigningKey::Kind::kEd25519) throw refuse("no Ed25519 key");
    return std::move(*key);
}

std::string SignedBytesOf(const PluginBytes& plugin) {
    return plugin::SignedBytes(
        base::HexDecode(plugin.sha256).value_or(""), plugin.manifest.id, plugin.manifest.version
    );
}

int MakeKey(const SigningFlags& flags) {
    const auto key = crypto::SigningKey::GenerateEd25519();
    WriteWholeFile(flags.file, ToPem(key.ToPkcs8()).Reveal(), 0600, false);
    std::cout << plugin::PublicKeyText(key.PublicBytes()) << '\n';
    return kSuccess;
}

int SignFile(const SigningFlags& flags) {
    const auto key = ReadPrivateKey(flags.key);
    const PluginBytes plugin = ReadPluginBytes(flags.file);
    const std::string path = flags.file + ".sig";
    WriteWholeFile(path, plugin::SignatureLine(key.SignEd25519(SignedBytesOf(plugin))), 0644, true);
    std::cout << path << ": " << plugin.manifest.id << ' ' << plugin.manifest.version << " by "
              << plugin::PublicKeyText(key.PublicBytes()) << '\n';
    return kSuccess;
}

int VerifyFile(const SigningFlags& flags) {
    std::string key = flags.key;
    if (!plugin::ParsePublicKey(key)) key = base::Trim(ReadSmallFile(flags.key));
    const PluginBytes plugin = ReadPluginBytes(flags.file);
    const auto signer =
        plugin::FindSigner(ReadSmallFile(flags.file + ".sig"), SignedBytesOf(plugin), {key});
    if (!signer.ok()) {
        std::cout << plugin::Describe(flags.file, signer.error()) << '\n';
        return kFoundProblems;
    }
    std::cout << flags.file << ": " << plugin.manifest.id << ' ' << plugin.manifest.version
              << " signed by " << *signer << '\n';
    return kSuccess;
}

}  // namespace

void AddPluginKeyCommands(CLI::App& plugins, Global&, Run& run) {
    static SigningFlags flags;
    auto* keygen = plugins.add_subcommand("keygen", "A new signing key; prints the public half");
    keygen->add_option("file", flags.file, "Where the private key is written")->required();
    keygen->callback([&] { run = [&] { return MakeKey(flags); }; });
    auto* sign = plugins.add_subcommand("sign", "Write <file>.sig");
    sign->add_option("file", flags.file, "A shared object")->required();
    sign->add_option("--key", flags.key, "File of the private key")->required();
    sign->callback([&] { run = [&] { return SignFile(flags); }; });
    auto* verify = plugins.add_subcommand("verify", "Check <file>.sig");
    verify->add_option("file", flags.file, "A shared object")->required();
    verify->add_option("--key", flags.key, "The public key, or a file that holds it")->required();
    verify->callback([&] { run = [&] { return VerifyFile(flags); }; });
}

}  // namespace opensend::cli
