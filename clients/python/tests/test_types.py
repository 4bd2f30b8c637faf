"""The types are those of the contract."""

import importlib.util
import typing
import unittest
from pathlib import Path

from crest_client import types
from tests.conforms import problems

HERE = Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("generate_types", HERE.parent / "tools" / "generate_types.py")
GENERATOR = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(GENERATOR)


class Types(unittest.TestCase):
    def test_they_are_what_the_contract_says(self):
        written = GENERATOR.TARGET.read_text(encoding="utf-8")
        self.assertEqual(written, GENERATOR.generate(GENERATOR.CONTRACT), "run tools/generate_types.py")

    def test_each_name_in_them_is_defined(self):
        classes = [each for each in vars(types).values() if hasattr(each, "__required_keys__")]
        self.assertGreater(len(classes), 20)
        for each in classes:
            typing.get_type_hints(each)

    def test_what_does_not_fit_is_seen(self):
        item = {"rank": 1, "item_id": "a", "count": 3, "lower": 3, "upper": 3, "exact": True, "change": None}
        self.assertEqual(problems(item, types.Item), [])
        for key, value in (("rank", "1"), ("count", True), ("change", "up"), ("exact", 1), ("more", 1)):
            self.assertTrue(problems({**item, key: value}, types.Item), key)
        del item["lower"]
        self.assertEqual(problems(item, types.Item), ["answer: lower is missing"])

    def test_a_schema_that_is_not_understood_is_an_error(self):
        with self.assertRaises(SystemExit):
            GENERATOR.Writer({}).of({"type": "string", "patternProperties": {}}, "New")


if __name__ == "__main__":
    unittest.main()
