#include <string>

#include <benchmark/benchmark.h>

#include "kernel/mime/dkim.h"

namespace {

using namespace opensend;

std::string Prepared() {
    std::string message =
        "Message-ID: <1@acme.dev>\r\nDate: Mon, 02 Mar 2026 09:15:30 +0000\r\n"
        "From: Acme <hello@acme.dev>\r\nTo: ada@example.com\r\nSubject: Your receipt\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
    while (message.size() < 4096) message += "Sentences of a usual length in a body.\r\n";
    return message;
}

void CanonicalBody(benchmark::State& state) {
    const std::string message = Prepared();
    for (auto _ : state) benchmark::DoNotOptimize(mime::RelaxedBody(message));
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(message.size()));
}
BENCHMARK(CanonicalBody);

void SignRsa(benchmark::State& state) {
    const auto key = crypto::SigningKey::GenerateRsa2048();
    const std::string message = Prepared();
    for (auto _ : state) {
        benchmark::DoNotOptimize(mime::DkimSign(
            message,
            {
                {"acme.dev", "os1", &key}
        },
            {}
        ));
    }
}
BENCHMARK(SignRsa);

void SignEd25519(benchmark::State& state) {
    const auto key = crypto::SigningKey::GenerateEd25519();
    const std::string message = Prepared();
    for (auto _ : state) {
        benchmark::DoNotOptimize(mime::DkimSign(
            message,
            {
                {"acme.dev", "os1-ed", &key}
        },
            {}
        ));
    }
}
BENCHMARK(SignEd25519);

}  // namespace

BENCHMARK_MAIN();
