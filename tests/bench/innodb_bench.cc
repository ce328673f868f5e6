// SPDX-License-Identifier: MIT
//
// The format library on one core: block check, parse, mtr assembly, apply, page checksum. Redo is
// the golden histories of tests/common/innodb/data, over and over, so numbers compare between
// machines and commits; real logs are measured by redo_rebuild.
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>
#include <string>

#include "common/base/check.h"
#include "common/innodb/apply.h"
#include "common/innodb/log_block.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/page_format.h"
#include "common/innodb/redo_parser.h"

namespace redoubt::innodb {
namespace {

Bytes ReadData(const std::string& name) {
  std::ifstream in(std::string(REDOUBT_TEST_DATA) + "/" + name, std::ios::binary);
  Bytes bytes(std::istreambuf_iterator<char>(in), {});
  REDOUBT_CHECK(!bytes.empty());
  return bytes;
}

// The history of a page with many kinds of index records.
const Bytes& Redo() {
  static const Bytes kRedo = ReadData("index_wide");
  return kRedo;
}

void SetRates(benchmark::State& state, size_t bytes, size_t records) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
  state.counters["records"] = benchmark::Counter(static_cast<double>(state.iterations() * records),
                                                 benchmark::Counter::kIsRate);
}

void BM_CheckLogBlock(benchmark::State& state) {
  Bytes block(kLogBlockBytes);
  WriteLogBlock(Lsn(8192), ByteView(Redo()).first(kLogBlockPayloadBytes), 12, block);
  for (auto _ : state) {
    benchmark::DoNotOptimize(CheckLogBlock(block, Lsn(8192)));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kLogBlockBytes));
}
BENCHMARK(BM_CheckLogBlock);

void BM_ParseRecords(benchmark::State& state) {
  const ByteView redo(Redo());
  size_t records = 0;
  for (auto _ : state) {
    records = 0;
    for (size_t at = 0; at < redo.size(); ++records) {
      at += ParseRecord(redo.subspan(at)).length;
    }
    benchmark::DoNotOptimize(records);
  }
  SetRates(state, redo.size(), records);
}
BENCHMARK(BM_ParseRecords);

void BM_AssembleMtrs(benchmark::State& state) {
  size_t records = 0;
  for (auto _ : state) {
    records = 0;
    MtrAssembler assembler(kFirstDataLsn);
    const Status status = assembler.Feed(Redo(), [&](const MtrView& mtr) {
      records += mtr.records.size();
      return Status::Ok();
    });
    REDOUBT_CHECK(status.ok());
  }
  SetRates(state, Redo().size(), records);
}
BENCHMARK(BM_AssembleMtrs);

void BM_ParseAndApply(benchmark::State& state) {
  PageApplier applier;
  Bytes page(4096);
  size_t records = 0;
  for (auto _ : state) {
    records = 0;
    std::fill(page.begin(), page.end(), uint8_t{0});
    MtrAssembler assembler(kFirstDataLsn);
    const Status status = assembler.Feed(Redo(), [&](const MtrView& mtr) {
      records += mtr.records.size();
      return applier.ApplyMtr(mtr.records, {mtr.start_lsn, mtr.end_lsn}, page).status();
    });
    REDOUBT_CHECK(status.ok());
  }
  SetRates(state, Redo().size(), records);
}
BENCHMARK(BM_ParseAndApply);

void BM_StampPage(benchmark::State& state) {
  Bytes page(static_cast<size_t>(state.range(0)), 0x5A);
  for (auto _ : state) {
    StampPage(page, Lsn(8204));
    benchmark::DoNotOptimize(page.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_StampPage)->Arg(4096)->Arg(16384)->Arg(65536);

}  // namespace
}  // namespace redoubt::innodb

BENCHMARK_MAIN();
