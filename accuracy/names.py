"""Japanese names to draw populations from, kanji and kana: common ones, often drawn, and composed ones."""

from __future__ import annotations

from itertools import product

# (kanji, kana), the most common first; drawn by rank.
_COMMON_FAMILIES = """
佐藤サトウ 鈴木スズキ 高橋タカハシ 田中タナカ 伊藤イトウ 渡辺ワタナベ 山本ヤマモト 中村ナカムラ 小林コバヤシ
加藤カトウ 吉田ヨシダ 山田ヤマダ 佐々木ササキ 山口ヤマグチ 松本マツモト 井上イノウエ 木村キムラ 斎藤サイトウ
清水シミズ 山崎ヤマザキ 森モリ 池田イケダ 橋本ハシモト 阿部アベ 石川イシカワ 山下ヤマシタ 中島ナカジマ 石井イシイ
小川オガワ 前田マエダ 岡田オカダ 長谷川ハセガワ 藤田フジタ 後藤ゴトウ 近藤コンドウ 村上ムラカミ 遠藤エンドウ
青木アオキ 坂本サカモト 斉藤サイトウ 福田フクダ 太田オオタ 西村ニシムラ 藤井フジイ 金子カネコ 岡本オカモト
藤原フジワラ 中野ナカノ 三浦ミウラ 原田ハラダ 中川ナカガワ 松田マツダ 竹内タケウチ 小野オノ 田村タムラ 中山ナカヤマ
和田ワダ 石田イシダ 森田モリタ 上田ウエダ 原ハラ 内田ウチダ 柴田シバタ 酒井サカイ 宮崎ミヤザキ 横山ヨコヤマ
高木タカギ 安藤アンドウ 宮本ミヤモト 大野オオノ 小島コジマ 谷口タニグチ 今井イマイ 工藤クドウ 高田タカダ 増田マスダ
丸山マルヤマ 杉山スギヤマ 村田ムラタ 大塚オオツカ 新井アライ 小山コヤマ 平野ヒラノ 藤本フジモト 河野コウノ
上野ウエノ 野口ノグチ 武田タケダ 松井マツイ 千葉チバ 菅原スガワラ 岩崎イワサキ 木下キノシタ 久保クボ 佐野サノ
野村ノムラ 松尾マツオ 市川イチカワ 菊地キクチ 杉本スギモト 古川フルカワ 大西オオニシ 島田シマダ 水野ミズノ
桜井サクライ 高野タカノ 渡部ワタナベ 吉川ヨシカワ 山内ヤマウチ 西田ニシダ 飯田イイダ 菊池キクチ 西川ニシカワ
小松コマツ 北村キタムラ 安田ヤスダ 五十嵐イガラシ 川口カワグチ 平田ヒラタ 関セキ 中田ナカタ 久保田クボタ
服部ハットリ 東ヒガシ 岩田イワタ 土屋ツチヤ 川崎カワサキ 福島フクシマ 本田ホンダ 辻ツジ 樋口ヒグチ 秋山アキヤマ
田口タグチ 永井ナガイ 浜田ハマダ 広瀬ヒロセ 沢田サワダ 徳田トクダ 瀬戸セト 富田トミタ 浜崎ハマサキ 黒沢クロサワ
国分コクブ 大沢オオサワ 滝沢タキザワ 柳沢ヤナギサワ 桑原クワバラ
"""
_FAMILY_HEADS = """
石イシ 岩イワ 岡オカ 片カタ 金カネ 川カワ 北キタ 黒クロ 坂サカ 白シラ 杉スギ 高タカ 竹タケ 谷タニ 寺テラ 永ナガ
西ニシ 野ノ 浜ハマ 林ハヤシ 東ヒガシ 深フカ 藤フジ 古フル 細ホソ 堀ホリ 松マツ 宮ミヤ 村ムラ 森モリ 柳ヤナギ 横ヨコ
若ワカ 荒アラ 梅ウメ 栗クリ 桜サクラ 大オオ 小コ 長ナガ 中ナカ 平ヒラ 福フク 水ミズ
"""
_FAMILY_TAILS = """
井イ 江エ 尾オ 川カワ 木キ 倉クラ 崎サキ 沢サワ 下シタ 島シマ 瀬セ 田ダ 谷タニ 塚ヅカ 辺ベ 戸ト 中ナカ 永ナガ 野ノ
原ハラ 浜ハマ 林バヤシ 淵ブチ 部ベ 部屋ベヤ 間マ 丸マル 宮ミヤ 村ムラ 本モト 森モリ 屋ヤ 山ヤマ 脇ワキ
"""
_MALE = """
アキラ明彰晃章 ケンジ健二賢治健司謙二 ヒロシ博浩弘寛 タカシ隆孝崇貴志 マサル勝優 イサム勇 キヨシ清潔 ミノル実稔
シゲル茂滋 ススム進 オサム修治 トオル徹亨透 サトシ聡智敏 マコト誠真 ヤスオ康夫保男 カズオ和夫一男一雄
ヨシオ義雄良夫芳男 ヒデキ秀樹英樹 ナオキ直樹尚樹 タクヤ拓也卓也 ダイスケ大輔大介 ショウタ翔太将太 ケンタ健太賢太
リョウ涼亮遼 ツバサ翼 ハルト陽翔大翔春翔 ユウト悠斗優斗勇翔 ソウタ颯太蒼太 レン蓮廉 ユウキ優希勇気悠希
ケンイチ健一賢一謙一 シンジ真二慎司 コウジ浩二孝司 コウイチ浩一光一孝一 ジュンイチ純一順一 シンイチ真一新一慎一
ショウイチ正一昭一彰一 ショウゴ翔吾省吾 ユウジ雄二裕二 リュウイチ隆一竜一 カツミ克己勝美 シロウ四郎 ゴロウ五郎
タロウ太郎 ジロウ次郎二郎 サブロウ三郎 キュウサク久作 ヨウヘイ洋平陽平 シュウヘイ修平周平 コウヘイ公平航平
"""
_FEMALE = """
ヨウコ陽子洋子 ケイコ恵子慶子敬子 カズコ和子一子 サチコ幸子祥子 フミコ文子史子 ユミコ由美子裕美子 クミコ久美子
エミコ恵美子 ミチコ美智子道子 トシコ敏子年子俊子 ノリコ典子紀子法子 ジュンコ順子純子 キョウコ京子恭子
ショウコ祥子昌子翔子 リョウコ良子涼子 トモコ智子朋子友子 ナオコ直子尚子 ユウコ裕子優子祐子 ヒロコ博子弘子裕子
マリコ真理子麻里子 アキコ明子晶子秋子 タカコ孝子貴子隆子 ハナコ花子華子 ハルコ春子晴子 シズカ静香 メグミ恵
アユミ歩亜由美 マユミ真由美 ナオミ直美尚美 アヤカ彩香綾香 ミサキ美咲 サクラ桜 ヒナタ陽向日向 アオイ葵碧 ユイ結衣
リン凛鈴 メイ芽依芽生 コハル心春小春 ユナ優奈結菜 ミユ美優美結 ミユキ美幸深雪 カオリ香織 サオリ沙織 シオリ詩織
キミエ君江 フサエ房江 ヨシエ良江芳江 ハツエ初江 スミレ菫 チヨ千代 キヌヨ絹代 ミツ光 トミ富 ハナ花華 ユウカ優花悠花
"""
_MALE_HEADS = """
健ケン 英ヒデ 正マサ 義ヨシ 和カズ 秀ヒデ 俊トシ 信ノブ 直ナオ 孝タカ 光ミツ 忠タダ 武タケ 友トモ 則ノリ 久ヒサ
克カツ 重シゲ 貞サダ 安ヤス 勝カツ 吉ヨシ 政マサ 利トシ 幸ユキ
"""
_MALE_TAILS = """
男オ 夫オ 雄オ 彦ヒコ 樹キ 也ヤ 人ト 明アキ 治ハル 行ユキ 信ノブ 弘ヒロ 則ノリ 文フミ 紀ノリ 司シ 成ナリ 広ヒロ
之ユキ 一カズ 美ミ 生オ 志シ 哉ヤ 太タ
"""
_FEMALE_HEADS = """
美ミ 千チ 沙サ 真マ 奈ナ 亜ア 由ユ 恵エ 貴キ 多タ 志シ 理リ 里サト 麻マ 友トモ 英ヒデ 節セツ 房フサ 静シズ 初ハツ
春ハル 秋アキ 菊キク 梅ウメ 雪ユキ 百合ユリ
"""
_FEMALE_TAILS = """
子コ 美ミ 恵エ 代ヨ 江エ 香カ 奈ナ 穂ホ 里リ 沙サ 央オ 紀キ 枝エ 乃ノ 菜ナ 花カ 音ネ 月ツキ 絵エ 世ヨ
"""

_FOREIGN_FAMILIES = """
NGUYEN グエン
TRAN チャン
LE レ
PHAM ファム
SILVA シルバ
SANTOS サントス
SOUZA ソウザ
REYES レイエス
CRUZ クルス
GARCIA ガルシア
TAMANG タマン
SHRESTHA シュレスタ
SMITH スミス
JOHNSON ジョンソン
KIM キム
PARK パク
WANG ワン
ZHANG チャン
OLIVEIRA オリベイラ
PEREIRA ペレイラ
"""
_FOREIGN_GIVEN = """
VAN AN バン アン
THI HOA ティ ホア
MINH DUC ミン ドゥック
MARIA LUISA マリア ルイサ
JOSE CARLOS ホセ カルロス
ANA PAULA アナ パウラ
JOHN PAUL ジョン ポール
MARIA マリア
CARLOS カルロス
RAM BAHADUR ラム バハドゥル
SITA シタ
MICHAEL マイケル
JAMES ROBERT ジェームズ ロバート
THANH HUONG タイン フオン
WEI ウェイ
MIN JUN ミンジュン
LUCAS ルカス
GRACE ANN グレース アン
MARK ANTHONY マーク アンソニー
PEDRO HENRIQUE ペドロ エンリケ
"""

Written = tuple[str, str]  # (kanji or Latin letters, kana)


def _parts(words: str) -> list[Written]:
    """``山ヤマ`` -> (山, ヤマ)."""
    found = []
    for word in words.split():
        start = next(place for place, sign in enumerate(word) if "ァ" <= sign <= "ヶ" and sign not in "々")
        found.append((word[:start], word[start:]))
    return found


def _composed(heads: str, tails: str) -> list[Written]:
    pairs = product(_parts(heads), _parts(tails))
    return [(a[0] + b[0], a[1] + b[1]) for a, b in pairs if a[0] != b[0]]


def _given(readings: str) -> list[Written]:
    """``ケンジ健二賢治`` -> (健二, ケンジ), (賢治, ケンジ): spellings of as many characters as the reading asks for."""
    found: list[Written] = []
    for word in readings.split():
        kana = "".join(sign for sign in word if "ァ" <= sign <= "ヶ" or sign == "ー")
        found += [(kanji, kana) for kanji in _spellings(kana, word[len(kana) :])]
    return found


# Readings that are written with one character each.
_ONE_CHARACTER = frozenset(
    {
        "アキラ",
        "ヒロシ",
        "タカシ",
        "マサル",
        "イサム",
        "キヨシ",
        "ミノル",
        "シゲル",
        "ススム",
        "オサム",
        "トオル",
        "サトシ",
        "マコト",
        "リョウ",
        "レン",
        "ツバサ",
        "サクラ",
        "アオイ",
        "リン",
        "ハナ",
        "メグミ",
    }
)


def _spellings(kana: str, kanji: str) -> list[str]:
    if kana in _ONE_CHARACTER:
        return list(dict.fromkeys(kanji))
    if kanji.endswith("子"):
        return [f"{each}子" for each in kanji.split("子")[:-1]]
    length = 3 if len(kanji) == 3 else 2
    return [kanji[place : place + length] for place in range(0, len(kanji), length)]


def _foreign(text: str) -> list[Written]:
    found = []
    for words in text.strip().splitlines():
        start = next(place for place, sign in enumerate(words) if "ァ" <= sign <= "ヶ")
        found.append((words[:start].strip(), words[start:]))
    return found


FAMILIES = (*_parts(_COMMON_FAMILIES), *_composed(_FAMILY_HEADS, _FAMILY_TAILS))
MALE = (*_given(_MALE), *_composed(_MALE_HEADS, _MALE_TAILS))
FEMALE = (*_given(_FEMALE), *_composed(_FEMALE_HEADS, _FEMALE_TAILS))
FOREIGN_FAMILY_NAMES = tuple(_foreign(_FOREIGN_FAMILIES))
FOREIGN_GIVEN_NAMES = tuple(_foreign(_FOREIGN_GIVEN))
