"""The policy file: from its bytes to frozen values, or to everything that is wrong with them.

    document             YAML as nodes that know file, line and column
    problems             telling what is wrong, all at once, each at its place
    option, kinds,       what an option is; kinds of values; where secrets are kept;
    references, template   the path of a destination
    settings_options,    THE TABLE: every option with its kind, its default and its reason
    auth_options,
    policy_options,
    options
    fields               reading one mapping by its part of the table
    *_reader             reading a part of the file into values
    arithmetic, clashes  what can be wrong between options that are each fine
    schema               the table as JSON Schema

`rotator.policy.load` is the way in.
"""
