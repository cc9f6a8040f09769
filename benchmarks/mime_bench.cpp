#include <string>

#include <benchmark/benchmark.h>

#include "kernel/mime/builder.h"

namespace {

using namespace opensend;

mime::Message Prepared() {
    mime::Message message;
    message.message_id = "<019cadd4-cbcb-7f91-8540-60d7d17dd01c@acme.dev>";
    message.date = {1'772'442'930'000'000};
    message.from = mime::ParseMailbox("Acme <hello@acme.dev>").value();
    message.to = {mime::ParseMailbox("Ada Lovelace <ada@example.com>").value()};
    message.subject = "Your receipt for March";
    return message;
}

std::string Lines(std::string_view line, size_t size) {
    std::string out;
    while (out.size() < size) out += line;
    return out;
}

constexpr std::string_view kPlainLine =
    "Sentences of a usual length that stand in the body of a message.\r\n";

void BuildText(benchmark::State& state) {
    auto message = Prepared();
    message.text = Lines(kPlainLine, 4096);
    for (auto _ : state) {
        benchmark::DoNotOptimize(mime::Build(message, {"id", "s:o:-:t", "seed/0", false}));
    }
}
BENCHMARK(BuildText);

void BuildTextAndHtml(benchmark::State& state) {
    auto message = Prepared();
    message.text = Lines(kPlainLine, 4096);
    message.html = Lines(
        "<p class=\"x\">Gr\xC3\xBC\xC3\x9F"
        "e and some words</p>\n",
        24 * 1024
    );
    for (auto _ : state) {
        benchmark::DoNotOptimize(mime::Build(message, {"id", "s:o:-:t", "seed/0", false}));
    }
}
BENCHMARK(BuildTextAndHtml);

void BuildAttachment(benchmark::State& state) {
    auto message = Prepared();
    message.text = "See the file.";
    message.attachments = {
        {"a.pdf", "application/pdf", "", std::string(1 << 20, 'x')}
    };
    for (auto _ : state) {
        benchmark::DoNotOptimize(mime::Build(message, {"id", "s:o:-:t", "seed/0", false}));
    }
    state.SetBytesProcessed(state.iterations() * (1 << 20));
}
BENCHMARK(BuildAttachment);

void ConvertHtml(benchmark::State& state) {
    const std::string html =
        Lines("<p>Words &amp; <a href=\"https://x.io/a\">a link</a></p>\n", 24 * 1024);
    for (auto _ : state) benchmark::DoNotOptimize(mime::HtmlToText(html));
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(html.size()));
}
BENCHMARK(ConvertHtml);

void ParseOneMailbox(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(mime::ParseMailbox("Ada Lovelace <ada@example.com>"));
    }
}
BENCHMARK(ParseOneMailbox);

}  // namespace

BENCHMARK_MAIN();
