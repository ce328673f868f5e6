// SPDX-License-Identifier: MIT
//
// Goal: what waits for something is called when that happens, at the right node, at the right time
// it happens, and once. Method: the list is told what happens; frames are made by the real encoder.
#include "sim/cluster/trigger_list.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/base/bytes.h"
#include "common/runtime/frame_stream.h"
#include "common/runtime/rpc/wire_message.h"

namespace redoubt::sim {
namespace {

struct Calls {
  std::string text;
  TriggerList::Action Note() {
    return [this](NodeId where, std::string_view why) {
      text += std::to_string(where) + ":" + std::string(why) + ";";
    };
  }
};

Bytes FrameOf(uint16_t type, size_t header_bytes, size_t payload_bytes) {
  const Bytes header(header_bytes, 1);
  const Bytes payload(payload_bytes, 2);
  Bytes frame(kFrameFixedBytes);
  EncodeFrameFixed(FrameView{type, 7, header, payload}, MutableByteView(frame));
  frame.insert(frame.end(), header.begin(), header.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

TEST(TriggerList, CallsOnceAtTheCountedLineOfTheNamedNode) {
  TriggerList list;
  Calls calls;
  proto::Trigger trigger;
  trigger.set_log_text("promised");
  trigger.set_count(2);
  list.Wait(trigger, {3, 4}, calls.Note());
  for (const NodeId node : {1U, 3U, 2U, 4U, 3U}) {
    list.SawLine(node, "epoch 2 promised");
    list.SawLine(node, "epoch 2 begins");
  }
  EXPECT_EQ(calls.text, "4:epoch 2 promised;");
}

TEST(TriggerList, SeesEveryRequestOfASegmentAndNoAnswer) {
  TriggerList list;
  Calls calls;
  proto::Trigger trigger;
  trigger.set_request(proto::LOG_PREPARE);
  list.Wait(trigger, {}, calls.Note());
  Bytes segment = FrameOf(proto::LOG_PREPARE | kResponseBit, 10, 0);
  list.SawSegment(5, segment);
  EXPECT_EQ(calls.text, "") << "an answer";
  const Bytes append = FrameOf(proto::LOG_APPEND, 20, 300);
  segment.insert(segment.end(), append.begin(), append.end());
  list.SawSegment(5, segment);
  list.SawSegment(5, Bytes(100, 0xAB));
  list.SawSegment(5, ByteView(append).first(30));
  EXPECT_EQ(calls.text, "") << "other requests, and the middle of one";
  const Bytes prepare = FrameOf(proto::LOG_PREPARE, 10, 0);
  segment.insert(segment.end(), prepare.begin(), prepare.end());
  list.SawSegment(6, segment);
  list.SawSegment(6, segment);
  EXPECT_EQ(calls.text, "6:LOG_PREPARE;");
}

TEST(TriggerList, SeesFileOperationsAndProbes) {
  TriggerList list;
  Calls calls;
  proto::Trigger file;
  file.set_file_path("/log/");
  file.set_file_op("sync");
  list.Wait(file, {}, calls.Note());
  proto::Trigger probe;
  probe.set_probe("writer.fenced");
  list.Wait(probe, {}, calls.Note());
  list.SawFileOp(1, "write", "/srv/log/1");
  list.SawFileOp(1, "sync", "/srv/page/1");
  TraceEvent event;
  event.node = 2;
  event.kind = TraceKind::kPhase;
  event.text = "writer ended: stale epoch";
  list.SawEvent(event);
  EXPECT_EQ(calls.text, "");
  list.SawFileOp(1, "sync", "/srv/log/1");
  event.kind = TraceKind::kLog;
  list.SawEvent(event);
  EXPECT_EQ(calls.text, "1:/srv/log/1;2:writer ended: stale epoch;");
}

TEST(TriggerList, ActionsMayWaitAgainAndClear) {
  TriggerList list;
  int calls = 0;
  proto::Trigger trigger;
  trigger.set_log_text("x");
  std::function<void(NodeId, std::string_view)> again = [&](NodeId, std::string_view) {
    ++calls;
    list.Wait(trigger, {}, again);
  };
  list.Wait(trigger, {}, again);
  list.SawLine(0, "x");
  EXPECT_EQ(calls, 1) << "not by the line that it was called for";
  list.SawLine(0, "x");
  EXPECT_EQ(calls, 2);
  list.Clear();
  list.SawLine(0, "x");
  EXPECT_EQ(calls, 2);
}

TEST(CheckTrigger, WantsOneThingThatThereIs) {
  proto::Trigger trigger;
  EXPECT_FALSE(CheckTrigger(trigger).ok());
  trigger.set_log_text("x");
  EXPECT_TRUE(CheckTrigger(trigger).ok());
  trigger.set_request(proto::LOG_APPEND);
  EXPECT_FALSE(CheckTrigger(trigger).ok());
  trigger.clear_log_text();
  EXPECT_TRUE(CheckTrigger(trigger).ok());
  trigger.set_file_op("sync");
  EXPECT_FALSE(CheckTrigger(trigger).ok()) << "of which file?";
  trigger.clear_request();
  trigger.set_file_path("/log/");
  EXPECT_TRUE(CheckTrigger(trigger).ok());
  trigger.set_file_op("fsync");
  EXPECT_FALSE(CheckTrigger(trigger).ok());
  trigger.Clear();
  trigger.set_probe("no.such_probe");
  EXPECT_FALSE(CheckTrigger(trigger).ok());
  trigger.set_probe("writer.fenced");
  EXPECT_TRUE(CheckTrigger(trigger).ok());
}

}  // namespace
}  // namespace redoubt::sim
