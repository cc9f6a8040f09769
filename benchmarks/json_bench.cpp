#include <string>

#include <benchmark/benchmark.h>

#include "kernel/json/reader.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"

namespace opensend::json {
namespace {

/// A send request of about `text_bytes` more than its frame.
std::string SendBody(size_t text_bytes) {
    Writer out;
    out.BeginObject()
        .Field("from", "Acme <hello@example.com>")
        .Field("to", std::vector<std::string>{"ada@example.net", "grace@example.net"})
        .Field("subject", "Your order 10045 is on its way")
        .Field("html", "<p>" + std::string(text_bytes, 'x') + "</p>\n\"quoted\"")
        .Key("tags")
        .BeginArray()
        .BeginObject()
        .Field("name", "category")
        .Field("value", "order")
        .EndObject()
        .EndArray()
        .Key("headers")
        .BeginObject()
        .Field("X-Entity-Ref-ID", "123456789")
        .EndObject()
        .EndObject();
    return out.Take();
}

void ParseSendBody(benchmark::State& state) {
    const std::string body = SendBody(static_cast<size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(Document::Parse(body).ok());
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(ParseSendBody)->Arg(700)->Arg(100'000);

void ParseNonAsciiBody(benchmark::State& state) {
    std::string body = "[\"";
    for (int i = 0; i < 500; ++i) body += "\u00e9\u3042";
    body += "\"]";
    for (auto _ : state) benchmark::DoNotOptimize(Document::Parse(body).ok());
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(ParseNonAsciiBody);

void ParseByteArray(benchmark::State& state) {
    std::string body = "[0";
    for (int i = 0; i < 100'000; ++i) body += ",255";
    body += "]";
    for (auto _ : state) benchmark::DoNotOptimize(Document::Parse(body).ok());
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(ParseByteArray);

void ReadSendBody(benchmark::State& state) {
    const std::string body = SendBody(700);
    const auto document = Document::Parse(body);
    for (auto _ : state) {
        Problems problems;
        ObjectReader reader(document.value().root(), "", problems);
        benchmark::DoNotOptimize(reader.RequireText("from", {.min = 1, .single_line = true}));
        benchmark::DoNotOptimize(reader.RequireText("subject", {.max = 1024, .single_line = true}));
        benchmark::DoNotOptimize(reader.OptionalText("html", {.max = 5'000'000}));
        for (const char* name : {"to", "tags", "headers"}) reader.Take(name);
        benchmark::DoNotOptimize(reader.Finish(true));
        problems.ThrowIfAny();
    }
}
BENCHMARK(ReadSendBody);

void WriteSendBody(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(SendBody(700));
}
BENCHMARK(WriteSendBody);

void CanonicalSendBody(benchmark::State& state) {
    const std::string body = SendBody(700);
    const auto document = Document::Parse(body);
    for (auto _ : state) benchmark::DoNotOptimize(Canonical(document.value().root()));
}
BENCHMARK(CanonicalSendBody);

}  // namespace
}  // namespace opensend::json

BENCHMARK_MAIN();
