#include <string>
#include <utility>

#include <benchmark/benchmark.h>

#include "kernel/crypto/aead.h"
#include "kernel/crypto/api_key.h"
#include "kernel/crypto/digest.h"
#include "kernel/crypto/keyring.h"
#include "kernel/crypto/random.h"
#include "kernel/crypto/signature.h"

namespace opensend::crypto {
namespace {

std::string Filled(const benchmark::State& state) {
    return std::string(static_cast<size_t>(state.range(0)), 'x');
}

void HashSha256(benchmark::State& state) {
    const auto data = Filled(state);
    for (auto _ : state) benchmark::DoNotOptimize(Sha256(data));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(HashSha256)->Arg(64)->Arg(1024)->Arg(1 << 20);

void MacSha256(benchmark::State& state) {
    const auto data = Filled(state);
    const std::string key(32, 'k');
    for (auto _ : state) benchmark::DoNotOptimize(HmacSha256(key, data));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(MacSha256)->Arg(64)->Arg(1024);

void SealBytes(benchmark::State& state) {
    const auto data = Filled(state);
    const std::string key(kAeadKeyBytes, 'k');
    const std::string nonce(kAeadNonceBytes, 'n');
    for (auto _ : state) benchmark::DoNotOptimize(AeadSeal(key, nonce, "where", data));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(SealBytes)->Arg(64)->Arg(16384);

void OpenBytes(benchmark::State& state) {
    const std::string key(kAeadKeyBytes, 'k');
    const std::string nonce(kAeadNonceBytes, 'n');
    const auto sealed = AeadSeal(key, nonce, "where", Filled(state));
    for (auto _ : state) benchmark::DoNotOptimize(AeadOpen(key, nonce, "where", sealed));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(OpenBytes)->Arg(64)->Arg(16384);

void OpenEnvelope(benchmark::State& state) {
    const base::Secret text(std::string(64, 'a'));
    const auto ring = Keyring::Make(text, {});
    const SealedPlace place{"webhooks", "signing_secret", "org", "row"};
    SystemRandom random;
    const auto sealed = ring.value().Seal(place, base::Secret(std::string(50, 's')), random);
    for (auto _ : state) benchmark::DoNotOptimize(ring.value().Open(place, sealed).ok());
}
BENCHMARK(OpenEnvelope);

void CheckApiKey(benchmark::State& state) {
    SystemRandom random;
    const auto key = MakeApiKey(random);
    const std::string pepper(32, 'p');
    for (auto _ : state) {
        const auto token = ParseApiKey(key.token.Reveal());
        benchmark::DoNotOptimize(HmacSha256(pepper, ApiKeyMacInput(token->ref, token->secret)));
    }
}
BENCHMARK(CheckApiKey);

void SignHeader(benchmark::State& state) {
    const bool is_rsa = state.range(0) == 1;
    const auto key = is_rsa ? SigningKey::GenerateRsa2048() : SigningKey::GenerateEd25519();
    const std::string header(1024, 'h');
    for (auto _ : state) benchmark::DoNotOptimize(key.SignDkim(header));
}
BENCHMARK(SignHeader)->ArgName("rsa")->Arg(1)->Arg(0);

}  // namespace
}  // namespace opensend::crypto

BENCHMARK_MAIN();
