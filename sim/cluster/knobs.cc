// SPDX-License-Identifier: MIT
#include "sim/cluster/knobs.h"

#include <google/protobuf/text_format.h>

#include <algorithm>

#include "common/base/check.h"
#include "sim/cluster/explicit_scenario.h"

namespace redoubt::sim {
namespace {

Status SetKnobTo(const proto::Knob& knob, uint64_t number, proto::Scenario* scenario) {
  return SetField(knob.name() + '=' + (knob.has_range() ? std::to_string(number) : knob.value()),
                  scenario);
}

}  // namespace

Status SetField(const std::string& knob, proto::Scenario* scenario) {
  const size_t equals = knob.find('=');
  if (equals == knob.npos) {
    return InvalidArgument(knob + ": say field.field=value");
  }
  google::protobuf::Message* message = scenario;
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(knob.find('.', begin), equals);
    const std::string name = knob.substr(begin, end - begin);
    const auto* field = message->GetDescriptor()->FindFieldByName(name);
    const bool is_message = field != nullptr && field->cpp_type() == field->CPPTYPE_MESSAGE;
    if (field == nullptr || (field->is_repeated() && is_message)) {
      return InvalidArgument(knob + ": " + message->GetDescriptor()->name() + " has no single " +
                             name);
    }
    if (is_message) {
      message = message->GetReflection()->MutableMessage(message, field);
    }
    begin = end + 1;
    const bool is_range = message->GetDescriptor() == proto::Range::descriptor();
    if (end < equals && !is_range && is_message) {
      continue;
    }
    std::string value = knob.substr(equals + 1);
    if (field->cpp_type() == field->CPPTYPE_STRING && !value.starts_with('"')) {
      value = '"' + value + '"';
    }
    const std::string text = (is_range ? "min" : name) + (": " + value);
    if (is_range) {
      message->Clear();
    }
    if (end != equals || !google::protobuf::TextFormat::MergeFromString(text, message)) {
      return InvalidArgument(knob + ": no such field, or not its kind of value");
    }
    return Status::Ok();
  }
}

proto::Scenario WithKnobs(const proto::Scenario& scenario, uint64_t seed) {
  proto::Scenario one = scenario;
  one.clear_knobs();
  RandomRoot root(seed);
  for (const proto::Knob& knob : scenario.knobs()) {
    SeededStream stream(&root, "knob:" + knob.name(), 0);
    const Status set = SetKnobTo(knob, DrawRange(knob.range(), &stream), &one);
    REDOUBT_CHECK(set.ok());
  }
  return one;
}

Result<proto::Scenario> WithKnobsAt(const proto::Scenario& scenario, bool high) {
  proto::Scenario one = scenario;
  one.clear_knobs();
  for (const proto::Knob& knob : scenario.knobs()) {
    if (knob.has_range() != knob.value().empty()) {
      return InvalidArgument("knob " + knob.name() + ": a range or a value");
    }
    const proto::Range& range = knob.range();
    const uint64_t number = high ? std::max(range.min(), range.max()) : range.min();
    REDOUBT_RETURN_IF_ERROR(SetKnobTo(knob, number, &one));
  }
  return one;
}

}  // namespace redoubt::sim
